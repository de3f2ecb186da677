"""BatchEnsemble layers that Edward2 lacks, or has only for rank 1."""

# The mixins use attributes of Keras's classes, which have no types.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uncertainty_distill.layers import members
from uncertainty_distill.layers.batch_ensemble import BatchEnsembleConvolution

import tensorflow as tf
import tf_keras


class _FastWeights:
  """Alpha, gamma and the members' biases, under Edward2's names."""

  def __init__(
    self,
    *args,
    ensemble_size,
    rank,
    alpha_initializer='ones',
    gamma_initializer='ones',
    activation=None,
    use_bias=True,
    bias_initializer='zeros',
    bias_regularizer=None,
    bias_constraint=None,
    **kwargs,
  ):
    super().__init__(*args, use_bias=False, **kwargs)
    keras = tf_keras
    self.ensemble_size, self.rank = ensemble_size, rank
    self.alpha_initializer = keras.initializers.get(alpha_initializer)
    self.gamma_initializer = keras.initializers.get(gamma_initializer)
    self.ensemble_activation = keras.activations.get(activation)
    self.use_ensemble_bias = use_bias
    self.ensemble_bias_initializer = keras.initializers.get(bias_initializer)
    self.ensemble_bias_regularizer = keras.regularizers.get(bias_regularizer)
    self.ensemble_bias_constraint = keras.constraints.get(bias_constraint)

  def build(self, input_shape):
    # Keras takes `rank` for the number of spatial dimensions here.
    rank, self.rank = self.rank, len(self.kernel_size)
    super().build(input_shape)
    self.rank = rank
    channels = tf.TensorShape(input_shape)[self._get_channel_axis()]
    filters = self._num_filters(channels)
    terms = [rank] if rank > 1 else []
    self.alpha = self.add_weight(
      name='alpha',
      shape=[*terms, self.ensemble_size, channels],
      initializer=self.alpha_initializer,
    )
    self.gamma = self.add_weight(
      name='gamma',
      shape=[*terms, self.ensemble_size, filters],
      initializer=self.gamma_initializer,
    )
    if self.use_ensemble_bias:
      self.ensemble_bias = self.add_weight(
        name='ensemble_bias',
        shape=[self.ensemble_size, filters],
        initializer=self.ensemble_bias_initializer,
        regularizer=self.ensemble_bias_regularizer,
        constraint=self.ensemble_bias_constraint,
      )


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class Conv1DBatchEnsemble(
  BatchEnsembleConvolution, _FastWeights, tf_keras.layers.Conv1D
):
  """`Conv2DBatchEnsemble` for sequences, [E * B, L, C]."""

  plain = tf_keras.layers.Conv1D


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class DepthwiseConv2DBatchEnsemble(
  BatchEnsembleConvolution, _FastWeights, tf_keras.layers.DepthwiseConv2D
):
  """`Conv2DBatchEnsemble` with a group for each channel.

  The arguments are those of `tf_keras.layers.DepthwiseConv2D`, and
  `ensemble_size`, `rank`, `perturb`, `alpha_initializer`, `gamma_initializer`.
  Each output channel depends on one input channel, so a higher rank adds
  nothing.
  """

  plain = tf_keras.layers.DepthwiseConv2D

  @property
  def kernel(self) -> tf.Tensor:
    """The kernel as a grouped convolution has it, [h, w, 1, F]."""
    return tf.reshape(self.depthwise_kernel, [*self.kernel_size, 1, -1])

  def build(self, input_shape):
    super().build(input_shape)
    self.groups = self.depthwise_kernel.shape[-2]

  def _linear_op(self, inputs, kernel):
    return self._depthwise(inputs, kernel)

  def _is_pointwise(self):
    return False

  def _num_filters(self, channels):
    return channels * self.depth_multiplier

  def get_config(self):
    return {**super().get_config(), 'groups': 1}


def left_out_config(layer: tf_keras.layers.Layer) -> dict[str, Any]:
  """Returns the fields that Keras leaves out of a layer's configuration."""
  is_synchronized = getattr(layer, 'synchronized', False)
  return {'synchronized': True} if is_synchronized else {}


def config_of(layer: tf_keras.layers.Layer) -> Any:
  """Returns a layer's class and configuration, to make the layer again."""
  config: Any = tf_keras.layers.serialize(layer)
  config['config'] |= left_out_config(layer)
  return config


def _build(layer, input_shape, scope):
  """Builds a layer within another, unless a file has already built it."""
  if not layer.built:
    with tf.name_scope(scope):
      layer.build(input_shape)


_KINDS = 'initializer', 'regularizer', 'constraint'


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class SeparableConv2DBatchEnsemble(tf_keras.layers.Layer):
  """A depthwise and a pointwise convolution, each with alpha and gamma.

  Takes and returns the same shapes as `Conv2DBatchEnsemble`.

  Attributes:
    plain: The class of the layer in a plain network.
    depthwise: The depthwise convolution, without a bias.
    pointwise: The convolution of 1x1 pixels.
  """

  plain = tf_keras.layers.SeparableConv2D

  def __init__(
    self, depthwise: dict[str, Any], pointwise: dict[str, Any], **kwargs: Any
  ):
    """Takes both convolutions, as `tf_keras.layers.serialize` returns them."""
    super().__init__(**kwargs)
    self.depthwise: Any = tf_keras.layers.deserialize(depthwise)
    self.pointwise: Any = tf_keras.layers.deserialize(pointwise)

  @property
  def perturb(self) -> str:
    """What alpha and gamma multiply."""
    return self.depthwise.perturb

  def build(self, input_shape):
    shape = input_shape
    for layer in self.depthwise, self.pointwise:
      _build(layer, shape, layer.name)
      shape = layer.compute_output_shape(shape)
    super().build(input_shape)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    return self.pointwise(self.depthwise(inputs))

  def compute_output_shape(self, input_shape):
    inner = self.depthwise.compute_output_shape(input_shape)
    return self.pointwise.compute_output_shape(inner)

  def plain_weights(self, member: int | None) -> list[tf.Tensor]:
    """Returns a member's kernels and bias, as a plain layer has them.

    For None, alpha, gamma and the bias are the means over members.
    """
    parts = self.depthwise, self.pointwise
    return [w for part in parts for w in part.plain_weights(member)]

  def assign_plain_weights(self, weights: Sequence[Any]) -> None:
    """Gives all members the kernels and the bias of a plain layer."""
    self.depthwise.assign_plain_weights(weights[:1])
    self.pointwise.assign_plain_weights(weights[1:])

  def plain_config(self) -> dict[str, Any]:
    """Returns the configuration of the layer in a plain network."""
    last = self.pointwise.plain_config()
    kernel = {f'pointwise_{kind}': last[f'kernel_{kind}'] for kind in _KINDS}
    names = 'filters', 'use_bias', 'activation', 'activity_regularizer'
    own = {name: last[name] for name in names}
    bias = {name: last[name] for name in last if name.startswith('bias_')}
    own |= {'name': self.name, 'groups': 1, **kernel, **bias}
    return {**self.depthwise.plain_config(), **own}

  def get_config(self) -> dict[str, Any]:
    parts = {'depthwise': self.depthwise, 'pointwise': self.pointwise}
    return {
      **super().get_config(),
      **{name: tf_keras.layers.serialize(x) for name, x in parts.items()},
    }


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class PerMember(tf_keras.layers.Layer):
  """A layer that each member has for itself, such as a BatchNorm.

  Takes [E * B, ...], member-major, or [B, ...] within `members.only(e)`. In
  training, each member's BatchNorm uses the statistics of the member's rows.

  Attributes:
    layers: The layer of each member.
  """

  def __init__(self, layer: dict[str, Any], ensemble_size: int, **kwargs: Any):
    """Makes the layers.

    Args:
      layer: The layer of one member, as `config_of` returns it.
      ensemble_size: The number of members E.
      **kwargs: The arguments of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    self.layers: list[Any] = [
      tf_keras.layers.deserialize(layer) for _ in range(ensemble_size)
    ]

  def build(self, input_shape):
    for member, layer in enumerate(self.layers):
      _build(layer, input_shape, f'member_{member}')
    super().build(input_shape)

  def call(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    del training  # Keras passes it on to the layers called here.
    member = members.only_member()
    if member is not None:
      return self.layers[member](rows)
    parts = tf.split(rows, len(self.layers))
    return tf.concat([f(part) for f, part in zip(self.layers, parts)], 0)

  def get_config(self) -> dict[str, Any]:
    own = {
      'layer': config_of(self.layers[0]),
      'ensemble_size': len(self.layers),
    }
    return {**super().get_config(), **own}
