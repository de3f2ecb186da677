"""Edward2's BatchEnsemble layers, mended.

A BatchEnsemble layer (Wen, Tran and Ba, 2020) gives member e the weights
W o (sum_r alpha[r, e] gamma[r, e]^T): one shared kernel W and, for each member,
a perturbation of rank r that costs one vector for the input channels and one
for the output channels. Edward2 0.0.2 computes that function; what it lacks is
a configuration that can be read back, output shapes, and a clear error for a
batch that the members do not divide.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from uncertainty_distill import _edward2
from uncertainty_distill.errors import InputError

# Edward2 keeps these arguments under other names than its constructors take.
_CONSTRUCTOR_NAMES = {
    'ensemble_activation': 'activation',
    'use_ensemble_bias': 'use_bias',
    'ensemble_bias_initializer': 'bias_initializer',
    'ensemble_bias_regularizer': 'bias_regularizer',
    'ensemble_bias_constraint': 'bias_constraint',
}


class _Mended:
  """What both layers need on top of Edward2's."""

  def __init__(self, *args, ensemble_size: int = 4, rank: int = 1, **kwargs):
    for argument, value in ('ensemble_size', ensemble_size), ('rank', rank):
      if not isinstance(value, int) or value < 1:
        raise InputError(argument, value, 'an integer of at least 1')
    super().__init__(*args, ensemble_size=ensemble_size, rank=rank, **kwargs)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    rows = inputs.shape[0]
    if rows is not None and rows % self.ensemble_size:
      raise InputError(
          f'batch of {self.name}',
          rows,
          f'a multiple of the {self.ensemble_size} members',
          'tile the examples once for each member',
      )
    return super().call(inputs)

  def get_config(self):
    config = super().get_config()
    for kept, taken in _CONSTRUCTOR_NAMES.items():
      config[taken] = config.pop(kept)
    return {**config, 'rank': self.rank}


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class Conv2DBatchEnsemble(_Mended, _edward2.Conv2DBatchEnsemble):
  """A convolution with a shared kernel and rank-r perturbations of it.

  Takes [E * B, H, W, C], member-major, and returns [E * B, H', W', filters].
  Arguments are Edward2's, which are those of `tf_keras.layers.Conv2D` and
  `ensemble_size`, `rank`, `alpha_initializer`, `gamma_initializer`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, or if
      the members do not divide the batch.
  """

  def compute_output_shape(self, input_shape):
    # Keras would read the number of spatial dimensions from `self.rank`, which
    # Edward2 takes for the perturbation's, and so returns no spatial shape.
    shape = tf.TensorShape(input_shape).as_list()
    channels_last = self.data_format == 'channels_last'
    first = 1 if channels_last else 2
    for axis in range(2):
      extent = (self.kernel_size[axis] - 1) * self.dilation_rate[axis]
      if self.padding == 'same':
        extent = 0
      if shape[first + axis] is not None:
        free = shape[first + axis] - extent
        shape[first + axis] = -(-free // self.strides[axis])
    shape[-1 if channels_last else 1] = self.filters
    return tf.TensorShape(shape)


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class DenseBatchEnsemble(_Mended, _edward2.DenseBatchEnsemble):
  """A dense layer with a shared kernel and rank-r perturbations of it.

  Takes [E * B, C], member-major, and returns [E * B, units]. Arguments are
  Edward2's, which are those of `tf_keras.layers.Dense` and `ensemble_size`,
  `rank`, `alpha_initializer`, `gamma_initializer`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, or if
      the members do not divide the batch.
  """
