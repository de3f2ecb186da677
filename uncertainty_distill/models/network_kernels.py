"""The kernels of a network, each with its alpha, gamma and bias."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from uncertainty_distill import layers
from uncertainty_distill.models import variables

import numpy as np
import tensorflow as tf
import tf_keras


class Kernel(NamedTuple):
  """A kernel of a convolution or a dense layer.

  Attributes:
    name: The name of the layer. A separable convolution has two kernels, whose
      names have suffixes.
    variable: The kernel as the plain layer has it.
    shape: [..., Cin / groups, Cout]. A depthwise kernel [h, w, C, m] has the
      shape [h, w, 1, C * m], with the same numbers and a group for each
      channel.
    groups: The number of groups of channels.
    alpha: The members' vectors for the input channels; None in a plain network.
    gamma: The members' vectors for the output channels; None in a plain
      network.
    bias: The bias, in a BatchEnsemble the biases of all members; None if the
      layer has no bias.
  """

  name: str
  variable: tf.Variable
  shape: tuple[int, ...]
  groups: int
  alpha: tf.Variable | None
  gamma: tf.Variable | None
  bias: tf.Variable | None

  def numpy(self) -> np.ndarray:
    """Returns the values in the shape `shape`."""
    return np.reshape(self.variable.numpy(), self.shape)  # pyright: ignore[reportAttributeAccessIssue]


def kernels(model: tf_keras.Model) -> list[Kernel]:
  """Returns the kernels of a network, in the order of its layers.

  The order depends only on the network's graph. So the lists of two networks of
  one architecture correspond, whether they are plain or BatchEnsembles.
  """
  return [
    k for layer in variables.flat_layers(model) for k in kernels_of_layer(layer)
  ]


def kernels_of_layer(layer: tf_keras.layers.Layer) -> list[Kernel]:
  """Returns a layer's kernels; none if it is no convolution or dense layer."""
  keras = tf_keras.layers
  if isinstance(layer, layers.SeparableConv2DBatchEnsemble):
    return [
      kernel._replace(name=f'{layer.name}_{part.name}')
      for part in (layer.depthwise, layer.pointwise)
      for kernel in kernels_of_layer(part)
    ]
  if isinstance(layer, keras.SeparableConv2D):
    depthwise = _kernel(layer, layer.depthwise_kernel, True)  # pyright: ignore[reportAttributeAccessIssue]
    pointwise = _kernel(layer, layer.pointwise_kernel)  # pyright: ignore[reportAttributeAccessIssue]
    return [
      depthwise._replace(name=f'{layer.name}_depthwise', bias=None),
      pointwise._replace(name=f'{layer.name}_pointwise'),
    ]
  if isinstance(layer, keras.DepthwiseConv2D):
    return [_kernel(layer, layer.depthwise_kernel, True)]  # pyright: ignore[reportAttributeAccessIssue]
  kinds = keras.Conv1D, keras.Conv2D, keras.Dense
  if isinstance(layer, kinds) and not isinstance(layer, keras.Conv2DTranspose):
    return [_kernel(layer, layer.kernel)]  # pyright: ignore[reportAttributeAccessIssue]
  return []


def _kernel(layer: Any, variable: Any, depthwise: bool = False) -> Kernel:
  """Returns one kernel of a layer."""
  shape, groups = tuple(variable.shape), getattr(layer, 'groups', 1)
  if depthwise:
    shape, groups = (*shape[:2], 1, math.prod(shape[2:])), shape[2]
  alpha, gamma = (getattr(layer, name, None) for name in ('alpha', 'gamma'))
  bias = layer.bias if alpha is None else getattr(layer, 'ensemble_bias', None)
  return Kernel(layer.name, variable, shape, groups, alpha, gamma, bias)
