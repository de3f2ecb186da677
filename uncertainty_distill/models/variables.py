"""Layers and variables by what they are, never by their name."""

from __future__ import annotations

from uncertainty_distill import layers

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
  """Returns whether a layer is a BatchNorm, or one for each member."""
  if isinstance(layer, layers.PerMember):
    layer = layer.layers[0]
  return isinstance(layer, tf_keras.layers.BatchNormalization)


def is_network(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer is a functional or Sequential model."""
  return isinstance(layer, tf_keras.Model) and layer._is_graph_network


def flat_layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  """Returns the layers, with those of nested networks in their places."""
  found = {}
  for layer in model.layers:
    inner = flat_layers(layer) if is_network(layer) else [layer]
    found.update(dict.fromkeys(inner))
  return list(found)


def finalize(model: tf_keras.Model) -> None:
  """Has layers compute with the weights that they have by now.

  A Normalization computes with copies of its own, which `set_weights` renews,
  but neither `tf.train.Checkpoint` nor `tf.Variable.assign` does.
  """
  for layer in flat_layers(model):
    layer.finalize_state()


def regularized_weights(layer: tf_keras.layers.Layer) -> list[tf.Variable]:
  """Returns what L2 applies to in the published baselines.

  Depthwise kernels are left alone: they have few weights, and are better with
  little L2 or none (Howard et al., 2017, "MobileNets", section 3.2).

  Args:
    layer: A layer that is built.

  Returns:
    The kernel and then the bias, of a separable convolution the pointwise
    kernel, or BatchNorm's scale and offset, those of each member if it has its
    own; alpha and gamma are left alone.
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
