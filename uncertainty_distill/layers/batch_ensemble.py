"""Edward2's BatchEnsemble layers, corrected and faster.

A BatchEnsemble layer (Wen, Tran and Ba, 2020) gives member e the weights
W o (sum_r alpha[r, e] gamma[r, e]^T): one shared kernel W and, for each member,
a perturbation of rank r that costs one vector for the input channels and one
for the output channels. Edward2 0.0.2 computes that function, except for the
bias of convolutions of a rank above 1. It lacks a configuration that can be
read back, output shapes, a clear error for a batch that the members do not
divide, and a choice of what to perturb.

A layer can multiply W by alpha and gamma and apply one kernel for each member
(`weights`), or multiply its inputs by alpha and its outputs by gamma around one
application of W (`activations`, as published). Both are the same function.
Where memory is slow and nothing fuses, as on a CPU, the side of the smaller
tensors is the cheaper one. On a TPU, XLA fuses the multiplications of
activations into the convolutions, so that they cost nothing.
"""

# What the mixin has of its own class is Edward2's, which has no types.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from uncertainty_distill import ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.layers import edward2_layers, members

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

_POSITIVE_INTEGER = ranges.Range(
  lambda x: isinstance(x, int) and x >= 1, 'an integer of at least 1'
)

PERTURB_MODES = ('auto', 'weights', 'activations')


def weights_may_be_cheaper(perturb: str) -> bool:
  """Returns whether perturbing weights can be cheaper than activations.

  Args:
    perturb: One of `PERTURB_MODES`; `auto` asks for the device that the current
      strategy computes on.
  """
  if perturb != 'auto':
    return perturb == 'weights'
  if not tf.distribute.has_strategy():  # TensorFlow takes a GPU if it can.
    return not tf.config.list_logical_devices('GPU')
  devices = tf.distribute.get_strategy().extended.worker_devices
  return tf.DeviceSpec.from_string(devices[0]).device_type == 'CPU'


def member_kernels(
  kernel: tf.Tensor, alpha: tf.Tensor, gamma: tf.Tensor
) -> tf.Tensor:
  """Returns every member's own kernel.

  Args:
    kernel: W, [..., C, F].
    alpha: [E, C], or [r, E, C] for perturbations of rank r.
    gamma: [E, F], or [r, E, F].

  Returns:
    [E, ..., C, F].
  """
  product = _outer_products(alpha, gamma, 3)
  members, channels, filters = product.shape
  inner = [1] * (kernel.shape.rank - 2)
  return kernel * tf.reshape(product, [members, *inner, channels, filters])


def one_kernel(
  kernel: tf.Tensor, alpha: tf.Tensor, gamma: tf.Tensor, member: int
) -> tf.Tensor:
  """Returns `member_kernels(...)[member]` and computes no other."""
  alpha, gamma = (tf.gather(v, member, axis=-2) for v in (alpha, gamma))
  return kernel * _outer_products(alpha, gamma, 2)


def _outer_products(alpha, gamma, rank):
  """Returns alpha gamma^T summed over the ranks, as a tensor of that rank."""
  product = tf.expand_dims(alpha, -1) * tf.expand_dims(gamma, -2)
  return product if product.shape.rank == rank else tf.reduce_sum(product, 0)


class _BatchEnsembleMixin:
  """What both layers add to Edward2's."""

  def __init__(
    self,
    *args,
    ensemble_size: int = 4,
    rank: int = 1,
    perturb: str = 'auto',
    **kwargs,
  ):
    _POSITIVE_INTEGER.check('ensemble_size', ensemble_size)
    _POSITIVE_INTEGER.check('rank', rank)
    ranges.one_of(*PERTURB_MODES).check('perturb', perturb)
    super().__init__(*args, ensemble_size=ensemble_size, rank=rank, **kwargs)
    self.perturb = perturb

  def __call__(self, inputs: tf.Tensor, *args, **kwargs) -> tf.Tensor:
    # Not in `call`: Keras would report the error as one of its own.
    rows = inputs.shape[0]
    joint = members.only_member() is None
    if joint and rows is not None and rows % self.ensemble_size:
      raise InputError(
        f'batch of {self.name}',
        rows,
        f'a multiple of the {self.ensemble_size} members',
        'repeat the examples once for each member',
        message=f'the batch of {self.name} has {rows} rows, which is no '
        f'multiple of the {self.ensemble_size} members',
      )
    return super().__call__(inputs, *args, **kwargs)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    member = members.only_member()
    fast = self.alpha, self.gamma
    bias = self.ensemble_bias if self.use_ensemble_bias else None
    if member is not None:
      kernel = one_kernel(self.kernel, *fast, member)
      value = self._linear_op(inputs, kernel)
      if bias is not None:
        value += self._broadcast_to_channels(bias[member])
    else:
      if self._weights_are_cheaper(inputs):
        kernels = member_kernels(self.kernel, *fast)
        value = self._linear_op_per_member(inputs, kernels)
      else:
        value = self._perturb_activations(inputs)
      if bias is not None:
        value = self._combine_per_member(tf.add, value, bias)
    return self.ensemble_activation(value)

  def _weights_are_cheaper(self, inputs):
    """Returns whether the members' kernels are smaller than the activations."""
    if not weights_may_be_cheaper(self.perturb):
      return False
    if self.perturb == 'weights':
      return True
    # The batch is unknown where a model is served: a few rows are expected.
    activations = [inputs.shape, self.compute_output_shape(inputs.shape)]
    sizes = [shape.num_elements() for shape in activations]
    kernels = self.ensemble_size * self.kernel.shape.num_elements()
    return None not in sizes and kernels <= self.rank * sum(sizes)

  def _perturb_activations(self, inputs):
    """Multiplies inputs by alpha and outputs by gamma; adds up the ranks."""
    combine, ranks = self._combine_per_member, [self.rank, self.ensemble_size]
    terms = []
    for alpha, gamma in zip(
      tf.unstack(tf.reshape(self.alpha, [*ranks, -1])),
      tf.unstack(tf.reshape(self.gamma, [*ranks, -1])),
    ):
      perturbed = combine(tf.multiply, inputs, alpha)
      value = self._linear_op(perturbed, self.kernel)
      terms.append(combine(tf.multiply, value, gamma))
    return terms[0] if self.rank == 1 else tf.add_n(terms)

  def _combine_per_member(self, operation, rows, vectors):
    """Combines each member's rows [E * B, ...] with its vector, [E, C]."""
    split = members.split_members(rows, self.ensemble_size)
    vectors = tf.expand_dims(self._broadcast_to_channels(vectors), 1)
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
class Conv2DBatchEnsemble(
  _BatchEnsembleMixin, edward2_layers.Conv2DBatchEnsemble
):
  """A convolution with a shared kernel and rank-r perturbations of it.

  Takes [E * B, H, W, C], member-major, and returns [E * B, H', W', filters].
  Within `members.only(e)` it takes [B, H, W, C] and returns what member e makes
  of it, [B, H', W', filters]. Arguments are Edward2's, which are those of
  `tf_keras.layers.Conv2D` and `ensemble_size`, `rank`, `alpha_initializer`,
  `gamma_initializer`; and `perturb`, one of `PERTURB_MODES`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, if
      `perturb` is unknown, or if the members do not divide the batch.
  """

  # Keras reads the number of spatial dimensions from `self.rank`, where Edward2
  # keeps the rank of the perturbations: what follows from it is defined here.

  def _get_channel_axis(self):
    return -1 if self.data_format == 'channels_last' else -3

  def build(self, input_shape):
    super().build(input_shape)
    self.input_spec = tf_keras.layers.InputSpec(ndim=4)

  def _linear_op(self, inputs, kernel):
    return self.convolution_op(inputs, kernel)

  def _linear_op_per_member(self, inputs, kernels):
    """Applies each member's kernel to its rows."""
    if self._is_pointwise():
      return self._pointwise_per_member(inputs, kernels)
    rows = tf.split(inputs, self.ensemble_size)
    return tf.concat(
      [self._linear_op(*each) for each in zip(rows, tf.unstack(kernels))], 0
    )

  def _is_pointwise(self):
    return self.kernel_size == (1, 1) and self.data_format == 'channels_last'

  def _pointwise_per_member(self, inputs, kernels):
    """Applies 1x1 kernels as one batched matrix product, without copies."""
    if self.strides != (1, 1):
      # Means of one pixel: no other way to drop rows and columns is as fast.
      inputs = tf.nn.avg_pool2d(inputs, 1, self.strides, 'VALID')
    split = members.split_members(inputs, self.ensemble_size)
    channels, filters = self.kernel.shape[2:]
    product = tf.matmul(
      tf.reshape(split, [self.ensemble_size, -1, channels]),
      tf.reshape(kernels, [self.ensemble_size, channels, filters]),
    )
    shape = tf.concat([tf.shape(inputs)[:-1], [filters]], 0)
    return tf.reshape(product, shape)

  def _broadcast_to_channels(self, vectors):
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
        free = shape[first + axis] - extent  # pyright: ignore[reportOptionalOperand]
        shape[first + axis] = -(-free // self.strides[axis])
    shape[-1 if channels_last else 1] = self.filters
    return tf.TensorShape(shape)


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class DenseBatchEnsemble(
  _BatchEnsembleMixin, edward2_layers.DenseBatchEnsemble
):
  """A dense layer with a shared kernel and rank-r perturbations of it.

  Takes [E * B, C], member-major, and returns [E * B, units]. Within
  `members.only(e)` it takes [B, C] and returns what member e makes of it,
  [B, units]. Arguments are Edward2's, which are those of
  `tf_keras.layers.Dense` and `ensemble_size`, `rank`, `alpha_initializer`,
  `gamma_initializer`; and `perturb`, one of `PERTURB_MODES`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, if
      `perturb` is unknown, or if the members do not divide the batch.
  """

  def _linear_op(self, inputs, kernel):
    return tf.matmul(inputs, kernel)

  def _linear_op_per_member(self, inputs, kernels):
    split = members.split_members(inputs, self.ensemble_size)
    return members.join_members(tf.matmul(split, kernels))

  def _broadcast_to_channels(self, vectors):
    return vectors
