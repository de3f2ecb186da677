"""The one definition of a Wide ResNet (Zagoruyko and Komodakis, 2016).

The layers are passed in: with plain ones it is a single network, with
BatchEnsemble ones it is a BatchEnsemble.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uncertainty_distill.errors import InputError

import tensorflow as tf
import tf_keras

# The output channels of the three groups at width 1, and their first strides.
GROUPS = ((16, 1), (32, 2), (64, 2))

# Makes a layer from its arguments.
LayerFactory = Callable[..., tf_keras.layers.Layer]


def blocks_per_group(depth: int) -> int:
  """Returns n, where depth = 6 n + 4.

  Raises:
    InputError: If there is no such n of at least 1.
  """
  if depth < 10 or (depth - 4) % 6:
    raise InputError('depth', depth, '6 n + 4 for some n >= 1: 10, 16, 22, 28')
  return (depth - 4) // 6


def wide_resnet(
  images: Any,
  *,
  depth: int,
  width: int,
  num_classes: int,
  conv: LayerFactory,
  dense: LayerFactory,
  norm: LayerFactory,
) -> Any:
  """Applies WRN-`depth`-`width` with pre-activation blocks.

  Args:
    images: Keras tensor [B, H, W, C], standardised.
    depth: 6 n + 4.
    width: Multiplier of the channels.
    num_classes: K.
    conv: Makes a convolution from `filters`, `kernel_size`, `strides`, `name`.
    dense: Makes a dense layer from `units`, `name`.
    norm: Makes a normalisation layer from `name`.

  Returns:
    Keras tensor of logits [B, K].

  Raises:
    InputError: If the depth is not 6 n + 4.
  """

  def norm_relu_conv(x, filters, strides, name):
    x = norm(name=f'{name}_norm')(x)
    return conv(filters, 3, strides, name=f'{name}_conv')(tf.nn.relu(x))

  def block(x, filters, strides, name):
    residual = norm_relu_conv(x, filters, strides, f'{name}_a')
    residual = norm_relu_conv(residual, filters, 1, f'{name}_b')
    if strides != 1 or x.shape[-1] != filters:
      x = conv(filters, 1, strides, name=f'{name}_shortcut')(x)
    return x + residual

  x = conv(16, 3, 1, name='stem')(images)
  for group, (channels, strides) in enumerate(GROUPS):
    for index in range(blocks_per_group(depth)):
      x = block(
        x,
        channels * width,
        strides if index == 0 else 1,
        f'group{group}_block{index}',
      )
  x = tf.nn.relu(norm(name='final_norm')(x))
  return dense(num_classes, name='logits')(tf.reduce_mean(x, [1, 2]))
