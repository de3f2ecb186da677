"""Finds layers and variables by their types, never by their names."""

from __future__ import annotations

from uncertainty_distill import layers
from uncertainty_distill.errors import InputError

import tensorflow as tf
import tf_keras

_WITH_KERNEL = (
  tf_keras.layers.Conv1D,
  tf_keras.layers.Conv2D,
  tf_keras.layers.Dense,
)


def fast_weights(model: tf.Module) -> list[tf.Variable]:
  """Returns alpha and gamma of every BatchEnsemble layer of a model."""
  return [
    variable
    for layer in model.submodules
    if isinstance(layer, layers.BatchEnsembleLayer)
    for variable in (layer.alpha, layer.gamma)  # pyright: ignore[reportAttributeAccessIssue]
  ]


def has_kernel(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer is a convolution or a dense layer.

  Depthwise convolutions do not count: see `regularized_weights`.
  """
  return isinstance(layer, _WITH_KERNEL)


def is_batch_norm(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer is a BatchNorm, or has one for each member."""
  if isinstance(layer, layers.PerMember):
    layer = layer.layers[0]
  return isinstance(layer, tf_keras.layers.BatchNormalization)


def is_network(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer is a functional or Sequential model."""
  return isinstance(layer, tf_keras.Model) and layer._is_graph_network


def flat_layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  """Returns the layers, with the layers of nested networks in their place."""
  found = {}
  for layer in model.layers:
    inner = flat_layers(layer) if is_network(layer) else [layer]
    found.update(dict.fromkeys(inner))
  return list(found)


def finalize(model: tf_keras.Model) -> None:
  """Makes layers compute with their current weights.

  A Normalization layer computes with copies of its weights. `set_weights`
  renews the copies, but `tf.train.Checkpoint` and `tf.Variable.assign` do not.
  """
  for layer in flat_layers(model):
    layer.finalize_state()


def regularized_weights(layer: tf_keras.layers.Layer) -> list[tf.Variable]:
  """Returns a layer's variables that get L2 in the published baselines.

  Depthwise kernels get none: they have few weights, and are better with little
  L2 or none (Howard et al., 2017, "MobileNets", section 3.2).

  Args:
    layer: A built layer.

  Returns:
    The kernel, followed by the bias if the layer has a bias. For a separable
    convolution, the kernel is the pointwise kernel. For a BatchNorm, the scale
    and the offset, of each member if each has its own. Never alpha or gamma.
  """
  if isinstance(layer, layers.PerMember):
    return sum(map(regularized_weights, layer.layers), [])
  if isinstance(layer, layers.SeparableConv2DBatchEnsemble):
    layer = layer.pointwise
  found = ()
  if isinstance(layer, tf_keras.layers.BatchNormalization):
    found = layer.gamma, layer.beta
  elif isinstance(layer, tf_keras.layers.SeparableConv2D):
    found = layer.pointwise_kernel, layer.bias  # pyright: ignore[reportAttributeAccessIssue]
  elif has_kernel(layer):
    # A BatchEnsemble layer has one bias for each member, under another name.
    found = layer.kernel, getattr(layer, 'ensemble_bias', layer.bias)  # pyright: ignore[reportAttributeAccessIssue]
  return [variable for variable in found if variable is not None]


def check_precision(model: tf_keras.Model) -> None:
  """Raises an InputError if a layer computes in float16.

  Training does not scale the loss, without which gradients in float16 vanish.
  """
  if any(layer.compute_dtype == 'float16' for layer in flat_layers(model)):
    raise InputError(
      'task.model.architecture',
      'float16',
      'a network whose layers compute in float32 or bfloat16',
    )
