"""Edward2's BatchEnsemble layers, mended.

A BatchEnsemble layer (Wen, Tran and Ba, 2020) gives member e the weights
W o (sum_r alpha[r, e] gamma[r, e]^T): one shared kernel W and, for each member,
a perturbation of rank r that costs one vector for the input channels and one
for the output channels. Edward2 0.0.2 computes that function, but for the bias
of convolutions of a rank above 1; what it lacks is a configuration that can be
read back, output shapes, and a clear error for a batch that the members do not
divide.
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

# What reads an argument's configuration, by the last word of its name.
_READERS = {
    'initializer': tf_keras.initializers.get,
    'regularizer': tf_keras.regularizers.get,
    'constraint': tf_keras.constraints.get,
}


class _Mended:
  """What both layers need on top of Edward2's."""

  def __init__(self, *args, ensemble_size: int = 4, rank: int = 1, **kwargs):
    for argument, value in ('ensemble_size', ensemble_size), ('rank', rank):
      if not isinstance(value, int) or value < 1:
        raise InputError(argument, value, 'an integer of at least 1')
    super().__init__(*args, ensemble_size=ensemble_size, rank=rank, **kwargs)

  def __call__(self, inputs: tf.Tensor, *args, **kwargs) -> tf.Tensor:
    # Not in `call`: Keras would report the error as one of its own.
    rows = inputs.shape[0]
    if rows is not None and rows % self.ensemble_size:
      raise InputError(
          f'batch of {self.name}',
          rows,
          f'a multiple of the {self.ensemble_size} members',
          'tile the examples once for each member',
      )
    return super().__call__(inputs, *args, **kwargs)

  def get_config(self):
    config = super().get_config()
    for kept, taken in _CONSTRUCTOR_NAMES.items():
      config[taken] = config.pop(kept)
    return {**config, 'rank': self.rank}

  @classmethod
  def from_config(cls, config):
    # Edward2's own readers would forget the arguments: L2(0.5) comes back as
    # L2(0.01), and RandomNormal(1, 0.5) as the class itself.
    read = {
        name: _READERS[name.rpartition('_')[2]](value)
        for name, value in config.items()
        if isinstance(value, dict) and name.rpartition('_')[2] in _READERS
    }
    return cls(**{**config, **read})


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

  # Keras reads the number of spatial dimensions from `self.rank`, which Edward2
  # takes for the perturbation's. So what Keras would find out is said here.

  def _get_channel_axis(self):
    return -1 if self.data_format == 'channels_last' else -3

  def build(self, input_shape):
    super().build(input_shape)
    self.input_spec = tf_keras.layers.InputSpec(ndim=4)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    if self.rank == 1 or not self.use_ensemble_bias:
      return super().call(inputs)
    # Edward2 would add the bias along wrong axes where the rank is above 1.
    examples = tf.shape(inputs)[0] // self.ensemble_size

    def of_each_row(vectors):
      vectors = tf.repeat(vectors, examples, axis=0)[:, None, None]
      last = self.data_format == 'channels_last'
      return vectors if last else tf.transpose(vectors, [0, 3, 1, 2])

    convolved = [
        self.convolution_op(inputs * of_each_row(alpha), self.kernel)
        * of_each_row(gamma)
        for alpha, gamma in zip(tf.unstack(self.alpha), tf.unstack(self.gamma))
    ]
    return self.ensemble_activation(
        tf.add_n(convolved) + of_each_row(self.ensemble_bias)
    )

  def compute_output_shape(self, input_shape):
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
