"""A SavedModel that serves predictions with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
import os

import tensorflow as tf
import tf_keras
from uncertainty_distill import files


def predict(model: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
  """Predicts with uncertainty.

  Args:
    model: Takes images and returns logits [E, B, K].
    images: uint8 [B, H, W, C].

  Returns:
    `probabilities` [B, K], the mean of the members'; `member_probabilities`
    [B, E, K]; `predictive_entropy` [B], that of the mean, in nats: 0 for a
    certain prediction, log K for a uniform one.
  """
  member_probs = tf.nn.softmax(model(images, training=False))
  probs = tf.reduce_mean(member_probs, 0)
  return {
      'probabilities': probs,
      'member_probabilities': tf.transpose(member_probs, [1, 0, 2]),
      'predictive_entropy': -tf.reduce_sum(tf.math.xlogy(probs, probs), -1),
  }


def export_saved_model(
    model: tf_keras.Model, image_shape: Sequence[int], directory: str
) -> str:
  """Writes a SavedModel that needs nothing but TensorFlow to be loaded.

  Its `serving_default` takes `images` uint8 [None, H, W, C] and returns what
  `predict` does. The folder appears when it is whole; one that was there
  before is replaced.

  Args:
    model: Takes images and returns logits [E, B, K].
    image_shape: H, W, C.
    directory: Where to write it.

  Returns:
    The directory.
  """

  @tf.function(
      input_signature=[
          tf.TensorSpec([None, *image_shape], tf.uint8, name='images')
      ],
      autograph=False,
  )
  def serve(images):
    return predict(model, images)

  # The function and the weights are all that is tracked: Keras layers would
  # bring their own traces and their Python classes with them.
  module = tf.Module()
  module.weights = model.weights
  module.serve = serve
  # An object store has no folders that could be renamed; but what makes a
  # SavedModel one, saved_model.pb, is written when the weights are there.
  is_remote = files.is_remote(directory)
  written = directory if is_remote else f'{directory.rstrip("/")}.tmp'
  files.remove(written)
  tf.saved_model.save(module, written, signatures={'serving_default': serve})
  if not is_remote:
    files.remove(directory)
    os.replace(written, directory)
  return directory
