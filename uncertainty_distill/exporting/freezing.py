"""Networks as graphs of constants, from which a server computes faster.

A server may compute beforehand what depends on constants alone, and lay out
kernels as its convolutions want them; it may do neither with variables. So
weights are written as constants, each once: on disk a BatchEnsemble stays the
size of one network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uncertainty_distill import models
from uncertainty_distill.exporting import silence

import tensorflow as tf
import tf_keras
from tensorflow.python.framework import convert_to_constants

# Beyond it the members' kernels cost more to read than to compute: a
# WRN-28-10's fill 600 MB, and answer one image more slowly.
_MOST_KERNEL_BYTES = 64e6
# A graph is one protocol buffer, which may have 2 GB.
_MOST_GRAPH_BYTES = 1.8e9


def freeze(
  model: tf_keras.Model, image_shape: Sequence[int]
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the model's inference as a graph that holds its weights.

  Members of a BatchEnsemble are applied in turn where all their kernels
  together are small: these depend on constants alone, and are computed when the
  graph is loaded. Where they are large, the model's own choice is kept, which
  reads one kernel for all members of a small batch.

  Args:
    model: Takes images and returns logits [E, B, K].
    image_shape: H, W, C.

  Returns:
    From uint8 images [B, H, W, C], any B, to logits [E, B, K]. Weights of more
    than 1.8 GB stay variables.
  """
  network = tf.function(
    lambda images: member_logits(model, images),
    input_signature=[
      tf.TensorSpec([None, *image_shape], tf.uint8, name='images')
    ],
    autograph=False,
  ).get_concrete_function()
  if num_bytes(network.variables) > _MOST_GRAPH_BYTES:
    return network
  # Left as one operation, a branch would compute on one core at a time.
  with silence.silence():
    frozen = convert_to_constants.convert_variables_to_constants_v2(
      network, lower_control_flow=True
    )

  def logits(images):
    (value,) = tf.nest.flatten(frozen(images))
    return value

  return logits


def member_logits(model: tf_keras.Model, images: tf.Tensor) -> tf.Tensor:
  """Applies a model in the way that suits constant weights.

  Args:
    model: Takes images and returns logits [E, B, K].
    images: uint8 [B, H, W, C].

  Returns:
    Logits [E, B, K].
  """
  if isinstance(model, models.DeepEnsemble):
    return tf.concat([member_logits(m, images) for m in model.models], 0)
  if isinstance(model, models.BatchEnsemble):
    if model.ensemble_size * num_bytes(model.weights) <= _MOST_KERNEL_BYTES:
      return model.each_member(images)
  return model(images, training=False)


def num_bytes(weights: Sequence[tf.Variable]) -> int:
  """Returns the memory that weights take."""
  return sum(v.shape.num_elements() * v.dtype.size for v in weights)
