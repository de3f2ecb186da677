"""BatchEnsemble layers: Edward2's layers, corrected, faster and extended.

A BatchEnsemble layer (Wen, Tran and Ba, 2020) gives member e the weights
W o (sum_r alpha[r, e] gamma[r, e]^T). All members share the kernel W. Each term
r of a member's perturbation costs one vector for the input channels and one for
the output channels. Edward2 0.0.2 computes the same function, except for the
bias of convolutions of a rank above 1. Edward2 lacks a configuration that can
be read back, output shapes, groups, dense layers for images, a clear error for
a batch that the members do not divide, and a choice of what to perturb.

A layer can multiply W by alpha and gamma and apply one kernel for each member
(`weights`). Or it can multiply its inputs by alpha, apply W once, and multiply
the outputs by gamma (`activations`, as published). Both compute the same
function. On a CPU, memory is slow and operations are not fused, so it is
cheaper to perturb the smaller tensors. On a TPU, XLA fuses the multiplications
of activations into the convolutions, so these multiplications cost nothing.
"""

# The mixin uses attributes of Edward2's classes, which have no types.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uncertainty_distill import ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.layers import edward2_layers, members

import tensorflow as tf
import tf_keras

# From the name under which Edward2 keeps an argument to the argument's name.
_CONSTRUCTOR_NAMES = {
  'ensemble_activation': 'activation',
  'use_ensemble_bias': 'use_bias',
  'ensemble_bias_initializer': 'bias_initializer',
  'ensemble_bias_regularizer': 'bias_regularizer',
  'ensemble_bias_constraint': 'bias_constraint',
}

_OF_MEMBERS = (
  'ensemble_size',
  'rank',
  'perturb',
  'alpha_initializer',
  'gamma_initializer',
)
_KEPT_NAMES = {
  **{taken: kept for kept, taken in _CONSTRUCTOR_NAMES.items()},
  **{name: name for name in _OF_MEMBERS if name != 'perturb'},
}

# The readers of arguments' configurations, by the last word of their names.
_READERS = {
  'initializer': tf_keras.initializers.get,
  'regularizer': tf_keras.regularizers.get,
  'constraint': tf_keras.constraints.get,
}

_WRITERS = {
  'initializer': tf_keras.initializers.serialize,
  'regularizer': tf_keras.regularizers.serialize,
  'constraint': tf_keras.constraints.serialize,
  'activation': tf_keras.activations.serialize,
}

_POSITIVE_INTEGER = ranges.Range(
  lambda x: isinstance(x, int) and x >= 1, 'an integer of at least 1'
)

PERTURB_MODES = ('auto', 'weights', 'activations')


def weights_may_be_cheaper(perturb: str) -> bool:
  """Returns whether it can be cheaper to perturb weights than activations.

  Args:
    perturb: One of `PERTURB_MODES`. With `auto`, the answer depends on the
      device of the current strategy.
  """
  return on_cpu() if perturb == 'auto' else perturb == 'weights'


def on_cpu() -> bool:
  """Returns whether the current strategy computes on a CPU."""
  if not tf.distribute.has_strategy():  # TensorFlow takes a GPU if it can.
    return not tf.config.list_logical_devices('GPU')
  devices = tf.distribute.get_strategy().extended.worker_devices
  return tf.DeviceSpec.from_string(devices[0]).device_type == 'CPU'


def member_kernels(
  kernel: tf.Tensor, alpha: tf.Tensor, gamma: tf.Tensor, groups: int = 1
) -> tf.Tensor:
  """Returns the kernels of all members.

  Args:
    kernel: W, [..., C / groups, F].
    alpha: [E, C], or [r, E, C] for perturbations of rank r.
    gamma: [E, F], or [r, E, F].
    groups: The number of groups of a grouped convolution.

  Returns:
    [E, ..., C / groups, F].
  """
  product = _outer_products(alpha, gamma, groups, 3)
  members, channels, filters = product.shape
  inner = [1] * (kernel.shape.rank - 2)
  return kernel * tf.reshape(product, [members, *inner, channels, filters])


def _outer_products(alpha, gamma, groups, rank):
  """Returns the sum of the terms alpha gamma^T, a tensor of `rank` axes."""
  columns = tf.expand_dims(alpha, -1)
  if groups > 1:  # An output channel uses the alpha of its group.
    channels, filters = alpha.shape[-1], gamma.shape[-1]
    inner = [*alpha.shape[:-1], groups, channels // groups]
    columns = tf.linalg.matrix_transpose(tf.reshape(alpha, inner))
    columns = tf.repeat(columns, filters // groups, axis=-1)
  product = columns * tf.expand_dims(gamma, -2)
  return product if product.shape.rank == rank else tf.reduce_sum(product, 0)


def _of_member(values, member, axis):
  """Returns a member's values, or the mean over members for None."""
  if member is None:
    return tf.reduce_mean(values, axis)
  return tf.gather(values, member, axis=axis)


class BatchEnsembleLayer:
  """A mixin with the common part of all layers with alpha and gamma.

  Attributes:
    plain: The class of the layer in a plain network.
    groups: The number of groups of channels.
  """

  plain: type[tf_keras.layers.Layer]
  groups = 1

  def __init__(
    self,
    *args: Any,
    ensemble_size: int = 4,
    rank: int = 1,
    perturb: str = 'auto',
    **kwargs: Any,
  ):
    _POSITIVE_INTEGER.check('ensemble_size', ensemble_size)
    _POSITIVE_INTEGER.check('rank', rank)
    ranges.one_of(*PERTURB_MODES).check('perturb', perturb)
    super().__init__(*args, ensemble_size=ensemble_size, rank=rank, **kwargs)
    self.perturb = perturb

  def __call__(self, inputs: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
    # Not in `call`: Keras would replace the error with one of its own.
    rows = inputs.shape[0]
    joint = members.only_member() is None
    if joint and rows is not None and rows % self.ensemble_size:
      raise InputError(
        f'batch of {self.name}',
        rows,
        f'a multiple of the {self.ensemble_size} members',
        'repeat the examples once for each member',
        message=f'the batch of {self.name} has {rows} rows, which is not a '
        f'multiple of the {self.ensemble_size} members',
      )
    return super().__call__(inputs, *args, **kwargs)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    inputs = tf.cast(inputs, self.compute_dtype)
    member = members.only_member()
    bias = self.ensemble_bias if self.use_ensemble_bias else None
    if member is not None:
      value = self._linear_op(inputs, self._one_kernel(member))
      if bias is not None:
        value += self._broadcast_to_channels(bias[member], value.shape.rank)
    else:
      if self._weights_are_cheaper(inputs):
        kernels = member_kernels(
          self.kernel, self.alpha, self.gamma, self.groups
        )
        value = self._linear_op_per_member(inputs, kernels)
      else:
        value = self._perturb_activations(inputs)
      if bias is not None:
        value = self._combine_per_member(tf.add, value, bias)
    return self.ensemble_activation(value)

  def _one_kernel(self, member):
    """Returns `member_kernels(...)[member]` without computing the others.

    For None, returns the kernel of the mean alpha and the mean gamma.
    """
    fast = (_of_member(v, member, -2) for v in (self.alpha, self.gamma))
    return self.kernel * _outer_products(*fast, self.groups, 2)

  def _weights_are_cheaper(self, inputs):
    """Returns whether to perturb the weights rather than the activations."""
    if not weights_may_be_cheaper(self.perturb):
      return False
    if self.perturb == 'weights':
      return True
    # If the batch size is unknown, as in a served model, few rows are expected.
    activations = [inputs.shape, self.compute_output_shape(inputs.shape)]
    sizes = [shape.num_elements() for shape in activations]
    kernels = self.ensemble_size * self.kernel.shape.num_elements()
    return None not in sizes and kernels <= self.rank * sum(sizes)

  def _perturb_activations(self, inputs):
    """Multiplies inputs by alpha and outputs by gamma; adds up the terms."""
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
    vectors = self._broadcast_to_channels(vectors, rows.shape.rank)
    return members.join_members(operation(split, tf.expand_dims(vectors, 1)))

  def _broadcast_to_channels(self, vectors, rank):
    """Reshapes vectors [..., F] to broadcast along the channels of [B, ...]."""
    sides = [1] * (rank - 2)
    last = getattr(self, 'data_format', 'channels_last') == 'channels_last'
    channels = [*sides, vectors.shape[-1]] if last else [vectors.shape[-1]]
    return tf.reshape(
      vectors, [*vectors.shape[:-1], *channels, *([] if last else sides)]
    )

  def _product_per_member(self, inputs, kernels):
    """Multiplies each member's rows [..., C] by its matrix, [E, C, F]."""
    channels, filters = kernels.shape[-2:]
    product = tf.matmul(
      tf.reshape(inputs, [self.ensemble_size, -1, channels]), kernels
    )
    return tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [filters]], 0))

  def plain_weights(self, member: int | None) -> list[tf.Tensor]:
    """Returns a member's weights as a plain layer has them: kernel and bias.

    Args:
      member: The index of the member; None for the mean over members of alpha,
        gamma and bias.
    """
    kernel = tf.reshape(self._one_kernel(member), self.weights[0].shape)
    return [kernel] + (
      [_of_member(self.ensemble_bias, member, 0)]
      if self.use_ensemble_bias
      else []
    )

  def assign_plain_weights(self, weights: Sequence[Any]) -> None:
    """Gives all members the kernel and the bias of a plain layer."""
    kernel, *bias = weights
    self.weights[0].assign(kernel)
    if bias:
      shape = self.ensemble_bias.shape
      self.ensemble_bias.assign(tf.broadcast_to(bias[0], shape))

  def plain_config(self) -> dict[str, Any]:
    """Returns the configuration of the layer in a plain network."""
    return {k: v for k, v in self.get_config().items() if k not in _OF_MEMBERS}

  def get_config(self) -> dict[str, Any]:
    config = super().get_config()
    for kept in _CONSTRUCTOR_NAMES:
      config.pop(kept, None)
    for taken, kept in _KEPT_NAMES.items():
      value = getattr(self, kept)
      write = _WRITERS.get(taken.rpartition('_')[2], lambda value: value)
      config[taken] = write(value)
    return {**config, 'perturb': self.perturb}

  @classmethod
  def from_config(cls, config: dict[str, Any]) -> BatchEnsembleLayer:
    # Edward2's own readers would lose the arguments: L2(0.5) would come back as
    # L2(0.01), and RandomNormal(1, 0.5) as the class itself.
    read = {
      name: _READERS[name.rpartition('_')[2]](value)
      for name, value in config.items()
      if isinstance(value, dict) and name.rpartition('_')[2] in _READERS
    }
    return cls(**{**config, **read})


class BatchEnsembleConvolution(BatchEnsembleLayer):
  """The common part of convolutions of any number of dimensions.

  Keras reads the number of dimensions from `self.rank`, but Edward2 keeps the
  rank of the perturbations there. So this class overrides the methods of Keras
  that need the number of dimensions.
  """

  def _get_channel_axis(self):
    last = self.data_format == 'channels_last'
    return -1 if last else -1 - len(self.kernel_size)

  def build(self, input_shape: Any) -> None:
    super().build(input_shape)
    ndim = len(self.kernel_size) + 2
    self.input_spec: Any = tf_keras.layers.InputSpec(ndim=ndim)

  def _linear_op(self, inputs, kernel):
    if self._is_causal:
      inputs = tf.pad(inputs, self._compute_causal_padding(inputs))
    if self.groups == 1:
      return self.convolution_op(inputs, kernel)
    # TensorFlow's depthwise convolutions need equal strides.
    if (
      kernel.shape[-2] == 1
      and len(self.kernel_size) == 2
      and len(set(self.strides)) == 1
    ):
      return self._depthwise(inputs, kernel)
    if not on_cpu():
      return self.convolution_op(inputs, kernel)
    # TensorFlow has no gradients of grouped convolutions on CPUs.
    axis = self._get_channel_axis()
    parts = zip(
      tf.split(inputs, self.groups, axis), tf.split(kernel, self.groups, -1)
    )
    return tf.concat([self.convolution_op(*part) for part in parts], axis)

  def _depthwise(self, inputs, kernel):
    """Applies a kernel [h, w, 1, F] with a group for each channel."""
    shape = [*self.kernel_size, self.groups, kernel.shape[-1] // self.groups]
    return tf_keras.backend.depthwise_conv2d(
      inputs,
      tf.reshape(kernel, shape),
      self.strides,
      self.padding,
      self.data_format,
      self.dilation_rate,
    )

  def _linear_op_per_member(self, inputs, kernels):
    """Applies each member's kernel to its rows."""
    if self._is_pointwise():
      if set(self.strides) != {1}:
        # Means over one pixel are the fastest way to drop rows and columns.
        inputs = tf.nn.avg_pool2d(inputs, 1, self.strides, 'VALID')
      # As one batched matrix product, without copies.
      return self._product_per_member(inputs, tf.squeeze(kernels, [1, 2]))
    rows = tf.split(inputs, self.ensemble_size)
    return tf.concat(
      [self._linear_op(*each) for each in zip(rows, tf.unstack(kernels))], 0
    )

  def _is_pointwise(self):
    last = self.data_format == 'channels_last'
    return self.kernel_size == (1, 1) and last and self.groups == 1

  def compute_output_shape(self, input_shape: Any) -> Any:
    shape = tf.TensorShape(input_shape).as_list()
    axis = self._get_channel_axis()
    first = 1 if axis == -1 else 2
    for index, size in enumerate(self.kernel_size):
      extent = (size - 1) * self.dilation_rate[index]
      if self.padding != 'valid':
        extent = 0
      if shape[first + index] is not None:
        free = shape[first + index] - extent  # pyright: ignore[reportOptionalOperand]
        shape[first + index] = -(-free // self.strides[index])
    shape[axis] = self._num_filters(shape[axis])
    return tf.TensorShape(shape)

  def _num_filters(self, channels):
    """Returns the output channels F for C input channels."""
    del channels
    return self.filters


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class Conv2DBatchEnsemble(
  BatchEnsembleConvolution, edward2_layers.Conv2DBatchEnsemble
):
  """A convolution with a shared kernel and rank-r perturbations of it.

  Takes [E * B, H, W, C], member-major, and returns [E * B, H', W', filters].
  Within `members.only(e)` it takes [B, H, W, C] and returns the output of
  member e, [B, H', W', filters].

  The arguments are those of `tf_keras.layers.Conv2D`, those that Edward2 adds
  (`ensemble_size`, `rank`, `alpha_initializer`, `gamma_initializer`), and
  `perturb`, one of `PERTURB_MODES`. With `groups`, alpha still has a number for
  each of the C channels.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, if
      `perturb` is unknown, or if the members do not divide the batch.
  """

  plain = tf_keras.layers.Conv2D


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class DenseBatchEnsemble(BatchEnsembleLayer, edward2_layers.DenseBatchEnsemble):
  """A dense layer with a shared kernel and rank-r perturbations of it.

  Takes [E * B, ..., C], member-major, and returns [E * B, ..., units]. Within
  `members.only(e)` it takes [B, ..., C] and returns the output of member e,
  [B, ..., units].

  The arguments are those of `tf_keras.layers.Dense`, those that Edward2 adds
  (`ensemble_size`, `rank`, `alpha_initializer`, `gamma_initializer`), and
  `perturb`, one of `PERTURB_MODES`.

  Raises:
    InputError: If `ensemble_size` or `rank` is not a positive integer, if
      `perturb` is unknown, or if the members do not divide the batch.
  """

  plain = tf_keras.layers.Dense

  def _linear_op(self, inputs, kernel):
    if inputs.shape.rank == 2:
      return tf.matmul(inputs, kernel)
    return tf.tensordot(inputs, kernel, 1)

  def _linear_op_per_member(self, inputs, kernels):
    return self._product_per_member(inputs, kernels)
