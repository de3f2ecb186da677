"""The only definition of the Wide ResNet (Zagoruyko and Komodakis, 2016)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from uncertainty_distill import ranges
from uncertainty_distill.models import variables
from uncertainty_distill.models.architecture import (
  Architecture,
  NormFactory,
  standardize,
)

import tensorflow as tf
import tf_keras

# The output channels of each group at width 1, and the stride of its first
# block.
_GROUPS = ((16, 1), (32, 2), (64, 2))


@dataclasses.dataclass
class WideResNet(Architecture):
  """WRN-`depth`-`width`, with pre-activation blocks.

  Attributes:
    depth: 6 n + 4, where n is the number of blocks in each of three groups.
    width: The multiplier of the channels.
  """

  L2_GROUPS: ClassVar[tuple[str, ...]] = (
    'first convolution',
    'group 0',
    'group 1',
    'group 2',
    'dense kernel with the last BatchNorm',
    'dense bias',
  )

  depth: int = ranges.field(
    28,
    ranges.Range(
      lambda x: x >= 10 and x % 6 == 4,
      '6 n + 4 for some n >= 1: 10, 16, 22, 28',
    ),
  )
  width: int = ranges.field(10, ranges.AT_LEAST_1)

  @property
  def label(self) -> str:
    return f'WRN-{self.depth}-{self.width}'

  # No layer needs AutoGraph, which would rewrite the source of every layer.
  @tf.autograph.experimental.do_not_convert
  def build(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    mean: Sequence[float] = (0.0,),
    stddev: Sequence[float] = (1.0,),
    batch_norm: NormFactory = tf_keras.layers.BatchNormalization,
  ) -> tf_keras.Model:
    ranges.check_fields(self)

    def norm_relu_conv(x, filters, strides, name):
      x = tf.nn.relu(batch_norm(name=f'{name}_norm')(x))
      return _conv(x, filters, 3, strides, f'{name}_conv')

    def block(x, filters, strides, name):
      residual = norm_relu_conv(x, filters, strides, f'{name}_a')
      residual = norm_relu_conv(residual, filters, 1, f'{name}_b')
      if strides != 1 or x.shape[-1] != filters:
        x = _conv(x, filters, 1, strides, f'{name}_shortcut')
      return x + residual

    images = tf_keras.Input(tuple(image_shape), dtype='float32', name='images')
    x = standardize(images, mean, stddev)  # pyright: ignore[reportArgumentType]
    x = _conv(x, 16, 3, 1, 'stem')
    for group, (channels, strides) in enumerate(_GROUPS):
      for index in range((self.depth - 4) // 6):
        name = f'group{group}_block{index}'
        x = block(x, channels * self.width, 1 if index else strides, name)
    x = tf.nn.relu(batch_norm(name='final_norm')(x))
    logits = tf_keras.layers.Dense(
      num_classes,
      kernel_initializer=tf_keras.initializers.HeNormal(),  # pyright: ignore[reportArgumentType]
      name='logits',
    )(tf.reduce_mean(x, [1, 2]))
    name = f'wide_resnet_{self.depth}_{self.width}'
    return tf_keras.Model(images, logits, name=name)

  def l2_groups(self, model: tf_keras.Model) -> list[list[tf.Variable]]:
    # The number of BatchNorms so far tells the group of a layer, as `build`
    # shows: after the first convolution, every block begins with the first of
    # its two BatchNorms, and the last BatchNorm comes before the dense layer.
    groups = [[] for _ in self.L2_GROUPS]
    group = norms = 0
    for layer in model.layers:
      if variables.is_batch_norm(layer):
        group = 1 + norms // (2 * (self.depth - 4) // 6)
        norms += 1
      kernel_or_norm, bias = variables.regularized_weights(layer), []
      if variables.has_kernel(layer):
        kernel_or_norm, bias = kernel_or_norm[:1], kernel_or_norm[1:]
      groups[group] += kernel_or_norm
      groups[-1] += bias
    return groups


def _conv(x, filters, kernel_size, strides, name):
  return tf_keras.layers.Conv2D(
    filters,
    kernel_size,
    strides=strides,
    padding='same',
    use_bias=False,
    kernel_initializer=tf_keras.initializers.HeNormal(),  # pyright: ignore[reportArgumentType]
    name=name,
  )(x)
