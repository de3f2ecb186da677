"""Layers and variables by what they are, never by their name."""

from __future__ import annotations

import math

from uncertainty_distill import layers

import tensorflow as tf
import tf_keras


def fast_weights(model: tf.Module) -> list[tf.Variable]:
  """Returns alpha and gamma of every BatchEnsemble layer of a model."""
  return [
    variable
    for layer in model.submodules
    if isinstance(layer, layers.BatchEnsembleLayer)
    for variable in (layer.alpha, layer.gamma)  # pyright: ignore[reportAttributeAccessIssue]
  ]


def has_kernel(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer is a convolution or a dense layer."""
  return isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense))


def kernel_layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  """Returns the convolutions and dense layers of a network, in its order.

  The order follows from the network's graph, so that the lists of two networks
  of one architecture, plain ones or BatchEnsembles, go together.
  """
  return [layer for layer in flat_layers(model) if has_kernel(layer)]


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


def forward_flops(model: tf_keras.Model) -> int:
  """Returns the FLOPs of one image in one forward pass, of all members.

  Counted are the multiplications and additions of convolutions and dense
  layers, two a pair; all else in the network is small beside them.

  Args:
    model: A plain functional network, or an ensemble made from it.
  """
  members = model.output_shape[0] or 1
  return members * sum(
    2
    * math.prod(layer.get_output_at(0).shape[1:-1])  # pyright: ignore[reportAttributeAccessIssue]
    * math.prod(layer.kernel.shape)
    for layer in kernel_layers(model)
  )


def regularized_weights(layer: tf_keras.layers.Layer) -> list[tf.Variable]:
  """Returns what L2 applies to in the published baselines.

  Args:
    layer: A layer that is built.

  Returns:
    The kernel and then the bias, or BatchNorm's scale and offset; alpha and
    gamma are left alone.
  """
  if isinstance(layer, tf_keras.layers.BatchNormalization):
    return [layer.gamma, layer.beta]
  if not has_kernel(layer):
    return []
  # A BatchEnsemble layer has one bias for each member, under another name.
  bias = getattr(layer, 'ensemble_bias', layer.bias)
  return [layer.kernel] if bias is None else [layer.kernel, bias]
