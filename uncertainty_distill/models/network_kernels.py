"""The kernels of a network, with what perturbs and follows each of them."""

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
    name: The name of the layer; of a separable convolution two, with a suffix.
    variable: The kernel as the plain layer has it.
    shape: [..., Cin / groups, Cout]. A depthwise kernel [h, w, C, m] is the
      same numbers as [h, w, 1, C * m], that of a group for each channel.
    groups: The groups that the channels form.
    alpha: The vectors of a BatchEnsemble's input channels; None in a plain
      network.
    gamma: Those of its output channels.
    bias: The bias, that of all members in a BatchEnsemble; None without one.
  """

  name: str
  variable: tf.Variable
  shape: tuple[int, ...]
  groups: int
  alpha: tf.Variable | None
  gamma: tf.Variable | None
  bias: tf.Variable | None

  def numpy(self) -> np.ndarray:
    """Returns the values, of `shape`."""
    return np.reshape(self.variable.numpy(), self.shape)  # pyright: ignore[reportAttributeAccessIssue]


def kernels(model: tf_keras.Model) -> list[Kernel]:
  """Returns the kernels of a network, in its order.

  The order follows from the network's graph, so that the lists of two networks
  of one architecture, plain ones or BatchEnsembles, go together.
  """
  return [
    k for layer in variables.flat_layers(model) for k in kernels_of_layer(layer)
  ]


def kernels_of_layer(layer: tf_keras.layers.Layer) -> list[Kernel]:
  """Returns the kernels of a layer, none if it is no convolution or dense."""
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
