"""A SavedModel that serves predictions with their uncertainty."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from uncertainty_distill.exporting import (
  freezing,
  image_decoding,
  predictive_distribution,
  warmup,
)
from uncertainty_distill.io import files
from uncertainty_distill.runtime import signals

import tensorflow as tf
import tf_keras

# Beside the graph, where TensorFlow Serving looks for what it needs itself.
EXTRA = 'assets.extra'
CLASS_NAMES_FILE = 'class_names.txt'


def export_saved_model(
  model: tf_keras.Model,
  image_shape: Sequence[int],
  directory: str,
  *,
  class_names: Sequence[str] = (),
  temperature: float = 1.0,
  documents: Mapping[str, str] | None = None,
) -> str:
  """Writes a SavedModel that needs nothing but TensorFlow to be loaded.

  Its `serving_default` takes `images`, uint8 [None, H, W, 3], and
  `serve_encoded` takes `image_bytes`, string [None]: PNG or JPEG files of any
  size, see `image_decoding`. Both take any number of images, 0 among them,
  and return what `outputs_from_logits` does, and `class_name`, string [B].

  `assets.extra/` holds requests for TensorFlow Serving to warm up with, the
  class names, one a line, and the documents. The folder appears when it is
  whole; one that was there before is replaced.

  Args:
    model: Takes images and returns logits [E, B, K].
    image_shape: H, W, C.
    directory: Where to write it.
    class_names: K names; the labels as text if empty.
    temperature: Divides the members' logits.
    documents: More text files for `assets.extra/`, by name.

  Returns:
    The directory.
  """
  logits = freezing.freeze(model, image_shape)
  num_classes = logits(tf.zeros([1, *image_shape], tf.uint8)).shape[-1]
  names = list(class_names) or [str(label) for label in range(num_classes)]

  def answer(images):
    # A session does not hold what it is fed against the signature, and the
    # network would take images of any size, even grey ones.
    images = tf.ensure_shape(images, [None, *image_shape])
    member_logits = _of_any_number(logits, images)
    found = predictive_distribution.outputs_from_logits(
      member_logits, temperature
    )
    return predictive_distribution.with_class_names(found, names)

  @_signature(tf.TensorSpec([None, *image_shape], tf.uint8, name='images'))
  def serve(images):
    return answer(images)

  @_signature(tf.TensorSpec([None], tf.string, name='image_bytes'))
  def serve_encoded(image_bytes):
    return answer(image_decoding.decode_images(image_bytes, image_shape[:2]))

  # The functions and the weights are all that is tracked: Keras layers would
  # bring their own traces and their Python classes with them.
  module = tf.Module()
  module.weights = list(getattr(logits, 'variables', ()))
  _write(
    module,
    {'serving_default': serve, 'serve_encoded': serve_encoded},
    image_shape,
    {CLASS_NAMES_FILE: '\n'.join([*names, '']), **(documents or {})},
    directory,
  )
  return directory


def _write(module, signatures, image_shape, documents, directory) -> None:
  """Writes the folder, whole or not at all."""
  # An object store has no folders that could be renamed; but what makes a
  # SavedModel one, saved_model.pb, is written when the weights are there.
  is_remote = files.is_remote(directory)
  written = directory if is_remote else f'{directory.rstrip("/")}.tmp'
  files.remove(written)
  with signals.defer():
    try:
      tf.saved_model.save(module, written, signatures=signatures)
      signals.check()
      _write_extra(os.path.join(written, EXTRA), image_shape, documents)
      if not is_remote:
        _replace(directory, written)
    finally:
      if not is_remote:
        files.remove(written)


def _replace(directory: str, written: str) -> None:
  """Puts a folder in the place of another one, if there is one."""
  # A folder that is not empty cannot be renamed over. Moved aside, the old one
  # is whole until the new one is there.
  old = f'{directory.rstrip("/")}.old'
  files.remove(old)
  if os.path.exists(directory):
    os.replace(directory, old)
  os.replace(written, directory)
  files.remove(old)


def _signature(spec: tf.TensorSpec):
  """Returns a decorator that compiles a function of one argument."""
  return tf.function(input_signature=[spec], autograph=False)


def _of_any_number(logits, images):
  """Applies a network to images [B, H, W, C], of which there may be none."""
  # TensorFlow's convolutions on CPUs mistake the shape of nothing at all: one
  # black image stands in for it.
  count = tf.shape(images)[0]
  missing = tf.cast(tf.equal(count, 0), tf.int32)
  padded = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
  return logits(padded)[:, :count]


def _write_extra(
  folder: str, image_shape: Sequence[int], documents: Mapping[str, str]
) -> None:
  """Writes what accompanies the graph."""
  files.make_folder(folder)
  warmup.write_warmup(os.path.join(folder, warmup.FILE), image_shape)
  for name, text in documents.items():
    files.write_text(os.path.join(folder, name), text)
