"""Turns networks into graphs of constants, which a server computes faster.

With constants, a server can compute in advance what depends only on them, and
can lay out kernels as its convolutions need them. It can do neither with
variables. So the weights are written as constants, each only once: on disk, a
BatchEnsemble still has the size of one network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uncertainty_distill import models
from uncertainty_distill.exporting import silence

import tensorflow as tf
import tf_keras
from tensorflow.python.framework import convert_to_constants

# If all the members' kernels together are larger than this, it takes longer to
# read stored kernels than to compute them again. The members' kernels of a
# WRN-28-10 fill 600 MB, and with them the inference of one image is slower.
_MOST_KERNEL_BYTES = 64e6
# A graph is one protocol buffer, which can hold at most 2 GB.
_MOST_GRAPH_BYTES = 1.8e9


def freeze(
  model: tf_keras.Model, image_shape: Sequence[int]
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the model's inference as a graph that holds its weights.

  If all kernels of a BatchEnsemble's members together are small, its members
  are applied one after the other: their kernels depend only on constants, so
  they are computed once, when the graph is loaded. Otherwise the model chooses
  how to apply its members, and for a small batch it reads only one kernel for
  all members.

  Args:
    model: A model that takes images and returns logits [E, B, K].
    image_shape: H, W, C.

  Returns:
    A function from uint8 images [B, H, W, C], any B, to logits [E, B, K].
    Weights of more than 1.8 GB stay variables.
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
  # Control flow is lowered, because a branch that stays a single operation
  # would run on only one core.
  with silence.silence():
    frozen = convert_to_constants.convert_variables_to_constants_v2(
      network, lower_control_flow=True
    )

  def logits(images):
    (value,) = tf.nest.flatten(frozen(images))
    return value

  return logits


def member_logits(model: tf_keras.Model, images: tf.Tensor) -> tf.Tensor:
  """Applies a model in the way that is fast if its weights are constants.

  Args:
    model: A model that takes images and returns logits [E, B, K].
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
  """Returns the memory that weights take, in bytes."""
  return sum(v.shape.num_elements() * v.dtype.size for v in weights)
