"""Edward2's BatchEnsemble layers, mended and faster.

A BatchEnsemble layer (Wen, Tran and Ba, 2020) gives member e the weights
W o (sum_r alpha[r, e] gamma[r, e]^T): one shared kernel W and, for each member,
a perturbation of rank r that costs one vector for the input channels and one
for the output channels. Edward2 0.0.2 computes that function, but for the bias
of convolutions of a rank above 1; what it lacks is a configuration that can be
read back, output shapes, a clear error for a batch that the members do not
divide, and a choice of what to perturb (see `perturbation`).
"""

from __future__ import annotations

from uncertainty_distill.errors import InputError
from uncertainty_distill.layers import edward2_layers, members, perturbation

import tensorflow as tf
import tf_keras

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

  def __init__(
    self,
    *args,
    ensemble_size: int = 4,
    rank: int = 1,
    perturb: str = 'auto',
    **kwargs,
  ):
    for argument, value in ('ensemble_size', ensemble_size), ('rank', rank):
      if not isinstance(value, int) or value < 1:
        raise InputError(argument, value, 'an integer of at least 1')
    super().__init__(*args, ensemble_size=ensemble_size, rank=rank, **kwargs)
    self.perturb = perturbation.check_side(perturb)

  def __call__(self, inputs: tf.Tensor, *args, **kwargs) -> tf.Tensor:
    # Not in `call`: Keras would report the error as one of its own.
    rows = inputs.shape[0]
    joint = kwargs.get('member') is None
    if joint and rows is not None and rows % self.ensemble_size:
      raise InputError(
        f'batch of {self.name}',
        rows,
        f'a multiple of the {self.ensemble_size} members',
        'tile the examples once for each member',
      )
    return super().__call__(inputs, *args, **kwargs)

  def call(self, inputs: tf.Tensor, member: int | None = None) -> tf.Tensor:
    fast = self.alpha, self.gamma
    bias = self.ensemble_bias if self.use_ensemble_bias else None
    if member is not None:
      kernel = perturbation.one_kernel(self.kernel, *fast, member)
      value = self._apply(inputs, kernel)
      if bias is not None:
        value += self._beside_channels(bias[member])
    else:
      if self._weights_are_cheaper(inputs):
        kernels = perturbation.member_kernels(self.kernel, *fast)
        value = self._apply_each(inputs, kernels)
      else:
        value = self._perturb_activations(inputs)
      if bias is not None:
        value = self._of_members(tf.add, value, bias)
    return self.ensemble_activation(value)

  def _weights_are_cheaper(self, inputs):
    """Tells whether the members' kernels are smaller than the activations."""
    if not perturbation.weights_may_be_cheaper(self.perturb):
      return False
    if self.perturb == 'weights':
      return True
    # Of an unknown batch, as where a model is served, a few rows are expected.
    activations = [inputs.shape, self.compute_output_shape(inputs.shape)]
    sizes = [shape.num_elements() for shape in activations]
    kernels = self.ensemble_size * self.kernel.shape.num_elements()
    return None not in sizes and kernels <= self.rank * sum(sizes)

  def _perturb_activations(self, inputs):
    """Multiplies inputs by alpha and outputs by gamma; adds up the ranks."""
    ranks = [self.rank, self.ensemble_size, -1]
    terms = [
      self._of_members(
        tf.multiply,
        self._apply(self._of_members(tf.multiply, inputs, alpha), self.kernel),
        gamma,
      )
      for alpha, gamma in zip(
        tf.unstack(tf.reshape(self.alpha, ranks)),
        tf.unstack(tf.reshape(self.gamma, ranks)),
      )
    ]
    return terms[0] if self.rank == 1 else tf.add_n(terms)

  def _of_members(self, operation, rows, vectors):
    """Combines each member's rows [E * B, ...] with its vector, [E, C]."""
    split = members.split_members(rows, self.ensemble_size)
    vectors = tf.expand_dims(self._beside_channels(vectors), 1)
    return members.join_members(operation(split, vectors))

  def get_config(self):
    config = super().get_config()
    for kept, taken in _CONSTRUCTOR_NAMES.items():
      config[taken] = config.pop(kept)
    return {**config, 'rank': self.rank, 'perturb': self.perturb}

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
class Conv2DBatchEnsemble(_Mended, edward2_layers.Conv2DBatchEnsemble):
  """A convolution with a shared kernel and rank-r perturbations of it.

  Takes [E * B, H, W, C], member-major, and returns [E * B, H', W', filters].
  Called with `member=e`, it takes [B, H, W, C] and returns what member e makes
  of it, [B, H', W', filters]. Arguments are Edward2's, which are those of
  `tf_keras.layers.Conv2D` and `ensemble_size`, `rank`, `alpha_initializer`,
  `gamma_initializer`; and `perturb`, one of `perturbation.SIDES`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, if
      `perturb` is unknown, or if the members do not divide the batch.
  """

  # Keras reads the number of spatial dimensions from `self.rank`, which Edward2
  # takes for the perturbation's. So what Keras would find out is said here.

  def _get_channel_axis(self):
    return -1 if self.data_format == 'channels_last' else -3

  def build(self, input_shape):
    super().build(input_shape)
    self.input_spec = tf_keras.layers.InputSpec(ndim=4)

  def _apply(self, inputs, kernel):
    return self.convolution_op(inputs, kernel)

  def _apply_each(self, inputs, kernels):
    """Applies each member's kernel to its rows."""
    if self._is_pointwise():
      return self._multiply_each(inputs, kernels)
    rows = tf.split(inputs, self.ensemble_size)
    return tf.concat(
      [self._apply(*each) for each in zip(rows, tf.unstack(kernels))], 0
    )

  def _is_pointwise(self):
    return self.kernel_size == (1, 1) and self.data_format == 'channels_last'

  def _multiply_each(self, inputs, kernels):
    """Applies 1x1 kernels as one batched matrix product, without copies."""
    if self.strides != (1, 1):
      # Of one pixel each: no other way to drop rows and columns is as fast.
      inputs = tf.nn.avg_pool2d(inputs, 1, self.strides, 'VALID')
    split = members.split_members(inputs, self.ensemble_size)
    channels, filters = self.kernel.shape[2:]
    product = tf.matmul(
      tf.reshape(split, [self.ensemble_size, -1, channels]),
      tf.reshape(kernels, [self.ensemble_size, channels, filters]),
    )
    shape = tf.concat([tf.shape(inputs)[:-1], [filters]], 0)
    return tf.reshape(product, shape)

  def _beside_channels(self, vectors):
    """Reshapes [..., F] so that it goes along the channels of images."""
    last = self.data_format == 'channels_last'
    shape = [*vectors.shape[:-1]]
    shape += [1, 1, vectors.shape[-1]] if last else [vectors.shape[-1], 1, 1]
    return tf.reshape(vectors, shape)

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
class DenseBatchEnsemble(_Mended, edward2_layers.DenseBatchEnsemble):
  """A dense layer with a shared kernel and rank-r perturbations of it.

  Takes [E * B, C], member-major, and returns [E * B, units]. Called with
  `member=e`, it takes [B, C] and returns what member e makes of it, [B, units].
  Arguments are Edward2's, which are those of `tf_keras.layers.Dense` and
  `ensemble_size`, `rank`, `alpha_initializer`, `gamma_initializer`; and
  `perturb`, one of `perturbation.SIDES`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, if
      `perturb` is unknown, or if the members do not divide the batch.
  """

  def _apply(self, inputs, kernel):
    return tf.matmul(inputs, kernel)

  def _apply_each(self, inputs, kernels):
    split = members.split_members(inputs, self.ensemble_size)
    return members.join_members(tf.matmul(split, kernels))

  def _beside_channels(self, vectors):
    return vectors
