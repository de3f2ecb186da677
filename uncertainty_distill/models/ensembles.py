"""Everything is an ensemble: images [B, H, W, C] -> logits [E, B, K]."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from uncertainty_distill import layers, ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.models import variables

import tensorflow as tf
import tf_keras

# From here on applying the members in turn is faster than applying them at
# once; measured on two cores for WRN-10-1 and WRN-16-4.
_LEAST_BATCH = 8

_CONVERTED = {
  tf_keras.layers.Conv2D: layers.Conv2DBatchEnsemble,
  tf_keras.layers.Dense: layers.DenseBatchEnsemble,
}
_SHARED = (tf_keras.layers.BatchNormalization,)


# No layer here needs AutoGraph, which would rewrite the source of each of them.
@tf.autograph.experimental.do_not_convert
def batch_ensemble(
  model: tf_keras.Model,
  ensemble_size: int,
  rank: int = 1,
  *,
  fast_weights: str = 'normal',
  fast_weight_stddev: float = 0.5,
  perturb: str = 'auto',
  keep_weights: bool = True,
) -> tf_keras.Model:
  """Turns a plain network into a BatchEnsemble (Wen, Tran and Ba, 2020).

  The members share the kernels and the BatchNorm layers; each has its own alpha
  and gamma in every convolution and dense layer, and its own bias.

  In training the contract may become wider, so that each member sees examples
  of its own: images [E, b, H, W, C], labels [E, b], teacher logits [M, E, b, K]
  and logits [E, b, K]. `TileMembers` would then join the members' rows instead
  of repeating the batch; no other layer knows the difference.

  Args:
    model: A functional model of images [B, ...] -> logits [B, K]; it is not
      changed.
    ensemble_size: E; 1 gives the model's own layers, without alpha and gamma.
    rank: The rank of the members' perturbations.
    fast_weights: What alpha and gamma are at first, one of
      `layers.FAST_WEIGHTS`, which `layers.fast_weight_initializers` explains.
    fast_weight_stddev: The standard deviation for `normal`.
    perturb: What they are applied to, one of `layers.PERTURB_MODES`.
    keep_weights: Whether to start from the model's weights; otherwise new ones
      are drawn, layer by layer, from the layers' initializers.

  Returns:
    A model that takes images [B, ...] and returns float32 logits [E, B, K].

  Raises:
    InputError: If the model has a layer with weights that cannot be converted,
      or if no matrix of the model has the rank.
  """
  if ensemble_size == 1:
    logits = layers.SplitMembers(1, name='split_members')(model.output)
    return tf_keras.Model(model.input, logits, name=model.name)
  check_rank(model, rank)
  ranges.one_of(*layers.FAST_WEIGHTS).check('fast_weights', fast_weights)
  options = {'ensemble_size': ensemble_size, 'rank': rank, 'perturb': perturb}
  tile = layers.TileMembers(ensemble_size, name='tile_members')
  copies = {tile.name: tile}
  is_first = True
  for layer in _in_order_of_creation(model):
    if _is_converted(layer):
      options |= layers.fast_weight_initializers(
        fast_weights, rank, fast_weight_stddev, is_first
      )
      is_first = False
    copy = _copy(layer, options)
    if layer.weights:
      with tf.name_scope(layer.name):
        copy.build(layer.get_input_shape_at(0))
    if keep_weights:
      _assign(copy, layer)
    copies[layer.name] = copy
  if keep_weights:
    # Layers that are called again have no one output: those of a copy are.
    with without_initial_values():
      model = tf_keras.models.clone_model(model)
  (images,) = model.inputs  # pyright: ignore[reportGeneralTypeIssues]
  images = tf_keras.Input(images.shape[1:], dtype=images.dtype, name='images')
  # The shapes of one member's tensors are those of all, and sooner inferred.
  with layers.only(0):
    # Called itself, the model would become one nested layer.
    rows = tf_keras.Model(images, model.call(tile(images)), name=model.name)
    rows = tf_keras.models.clone_model(
      rows, clone_function=lambda layer: copies[layer.name]
    )
  logits = layers.SplitMembers(ensemble_size, name='split_members')(rows.output)
  return BatchEnsemble(rows.input, logits, name=model.name)


def check_rank(model: tf_keras.Model, rank: int, name: str = 'rank') -> None:
  """Raises an InputError about `name` for a rank that no layer's matrix has."""
  most = max(
    min(layer.kernel.shape[-2:]) for layer in variables.kernel_layers(model)
  )
  if not 1 <= rank <= most:
    raise InputError(
      name,
      rank,
      f'from 1 to {most}, the highest rank of a matrix of {model.name}',
    )


@contextlib.contextmanager
def without_initial_values() -> Iterator[None]:
  """Makes models that are built inside it start from zeros.

  Zeros take no time, and none of the random numbers that a seed gives.
  """

  def creator(next_creator, **kwargs):
    if callable(kwargs['initial_value']):
      shape, dtype = kwargs['shape'], kwargs['dtype']
      kwargs['initial_value'] = lambda: tf.zeros(shape, dtype)
    return next_creator(**kwargs)

  with tf.variable_creator_scope(creator):
    yield


def _in_order_of_creation(model: tf_keras.Model) -> list[Any]:
  """Returns the layers branch by branch, without the input.

  In this order random weights are drawn, so that a seed gives the same ones
  however Keras sorts the layers of a graph.
  """
  (first,) = model.inputs  # pyright: ignore[reportGeneralTypeIssues]
  inside, found = set(model.layers), {}
  waiting = [first.node.layer]
  while waiting:
    layer = waiting.pop()
    # The first call of a layer that is called several times counts.
    parents = {node.layer for node in layer.inbound_nodes[0].parent_nodes}
    if layer in inside and layer not in found and parents <= found.keys():
      found[layer] = None
      waiting += [node.layer for node in reversed(layer.outbound_nodes)]
  return list(found)[1:]


def _is_converted(layer):
  return type(layer) in _CONVERTED and getattr(layer, 'groups', 1) == 1


def _copy(layer, options):
  """Returns a layer of the BatchEnsemble, not built yet."""
  config, kind = layer.get_config(), type(layer)
  if _is_converted(layer):
    return _CONVERTED[kind].from_config({**config, **options})
  if layer.weights and not isinstance(layer, _SHARED):
    raise InputError(
      layer.name,
      kind.__name__,
      'a Conv2D of one group, a Dense or a BatchNormalization layer',
      message=f'the layer {layer.name!r} is a {kind.__name__}, which cannot '
      'become a part of a BatchEnsemble; use Conv2D of one group, Dense and '
      'BatchNormalization, and layers without weights',
    )
  if kind is tf_keras.layers.BatchNormalization:
    config['synchronized'] = layer.synchronized  # Keras leaves it out.
  return kind.from_config(config)


def _assign(copy, layer):
  """Gives a layer of the BatchEnsemble the weights of the plain network's."""
  if not variables.has_kernel(layer):
    copy.set_weights(layer.get_weights())
    return
  copy.kernel.assign(layer.kernel)
  if layer.bias is not None:
    copy.ensemble_bias.assign(
      tf.broadcast_to(layer.bias, copy.ensemble_bias.shape)
    )


def set_plain_weights(
  model: tf_keras.Model, plain: tf_keras.Model, last: bool = True
) -> None:
  """Gives an ensemble the weights of a plain network, as all members share.

  Alpha and gamma stay as they are.

  Args:
    model: What `batch_ensemble` made from a network like `plain`.
    plain: A network.
    last: Whether also those of the last layer that has any.
  """
  pairs = list(
    zip(
      [layer for layer in model.layers if layer.weights],
      [layer for layer in plain.layers if layer.weights],
      strict=True,
    )
  )
  for copy, layer in pairs if last else pairs[:-1]:
    _assign(copy, layer)


class BatchEnsemble(tf_keras.Model):
  """A functional BatchEnsemble that may infer one member after the other.

  Training needs all members at once, for BatchNorm's statistics. In inference
  each member is a plain network with weights of its own; where perturbed
  weights are cheaper than perturbed activations, applying these networks in
  turn saves the copies that bring the members' rows together.
  """

  # Without a constructor of its own, so that Keras clones it as what it is.

  def call(
    self, images: tf.Tensor, training: bool | None = None, mask: Any = None
  ) -> tf.Tensor:
    def at_once():
      return super(BatchEnsemble, self).call(images, training, mask)

    perturb = next(x.perturb for x in self.layers if hasattr(x, 'perturb'))
    if training or not layers.weights_may_be_cheaper(perturb):
      return at_once()
    if images.shape[0] is not None:
      many = images.shape[0] >= _LEAST_BATCH  # pyright: ignore[reportOptionalOperand]
      return self.each_member(images) if many else at_once()
    many = tf.shape(images)[0] >= _LEAST_BATCH
    return tf.cond(many, lambda: self.each_member(images), at_once)

  @property
  def ensemble_size(self) -> int:
    """Members E."""
    return self.layers[-1].ensemble_size

  def each_member(self, images: tf.Tensor) -> tf.Tensor:
    """Infers one member after the other: [B, H, W, C] -> logits [E, B, K]."""
    logits = []
    for member in range(self.ensemble_size):
      with layers.only(member):
        logits.append(super().call(images, training=False))
    return tf.concat(logits, 0)
