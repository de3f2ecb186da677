"""Turns plain networks into BatchEnsembles."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import errors, layers, ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.models import cloning, custom_networks, variables
from uncertainty_distill.models.ensembles import BatchEnsemble

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras.src.applications import convnext  # Keras exports no LayerScale.

NORMS = ('shared', 'member')

_CONVERTED = {
  kind.plain: kind
  for kind in (
    layers.Conv1DBatchEnsemble,
    layers.Conv2DBatchEnsemble,
    layers.DenseBatchEnsemble,
    layers.DepthwiseConv2DBatchEnsemble,
  )
}
_SEPARABLE = tf_keras.layers.SeparableConv2D
_NORMS = (
  tf_keras.layers.BatchNormalization,
  tf_keras.layers.GroupNormalization,
  tf_keras.layers.LayerNormalization,
)
_SHARED = (*_NORMS, tf_keras.layers.Normalization, convnext.LayerScale)


# No layer here needs AutoGraph, which would rewrite the source of every layer.
@tf.autograph.experimental.do_not_convert
def batch_ensemble(
  model: tf_keras.Model,
  ensemble_size: int,
  rank: int = 1,
  *,
  fast_weights: str = 'normal',
  fast_weight_stddev: float = 0.5,
  perturb: str = 'auto',
  norm: str = 'shared',
  keep: Mapping[str, str] | None = None,
  keep_weights: bool = True,
) -> tf_keras.Model:
  """Turns a plain network into a BatchEnsemble (Wen, Tran and Ba, 2020).

  The members share the kernels. Each member has its own alpha and gamma in
  every convolution and dense layer, and its own bias. Nested networks stay
  nested, and a layer that is used several times stays one layer. A
  SeparableConv2D gets alpha and gamma for both of its kernels.

  Within `layers.own_examples` the batch of the model consists of the rows of
  all members, [E * b, ...], and `TileMembers` does not repeat the rows. So each
  member has its own examples. The other layers work as usual.

  Args:
    model: A functional or Sequential model of images [B, ...] -> logits [B, K]
      or another tensor [B, ...]. It is not changed.
    ensemble_size: The number of members E. With 1, the result has the model's
      own layers, without alpha and gamma.
    rank: The rank of the members' perturbations.
    fast_weights: The initial values of alpha and gamma, one of
      `layers.FAST_WEIGHTS`; see `layers.fast_weight_initializers`.
    fast_weight_stddev: The standard deviation for `normal`.
    perturb: What alpha and gamma multiply, one of `layers.PERTURB_MODES`.
    norm: Whether BatchNorm, LayerNorm and GroupNorm are `shared`, or each
      `member` has its own.
    keep: The layers that the members share unchanged, `{'name': 'shared'}`. A
      name may be a path, such as `backbone/stem`.
    keep_weights: Whether to start from the model's weights. Otherwise new
      weights are drawn, layer by layer, from the layers' initializers. Only
      adapted Normalization layers then keep their weights.

  Returns:
    A model that takes images [B, ...] and returns float32 logits [E, B, K].

  Raises:
    InputError: If the model has no graph or several inputs or outputs, if it
      has a layer with weights that cannot be converted, if no matrix of the
      model can have the rank, or if another argument is out of its range.
  """
  custom_networks.check_graph(model, 'model')
  if ensemble_size == 1:
    logits = layers.SplitMembers(1, name='split_members')(model.output)
    return tf_keras.Model(model.input, logits, name=model.name)
  check_rank(model, rank)
  ranges.one_of(*layers.FAST_WEIGHTS).check('fast_weights', fast_weights)
  ranges.NOT_NEGATIVE.check('fast_weight_stddev', fast_weight_stddev)
  ranges.one_of(*NORMS).check('norm', norm)
  paths = _paths(model)
  kept = _kept(paths, keep or {})
  options = {'ensemble_size': ensemble_size, 'rank': rank, 'perturb': perturb}
  initializers = functools.partial(
    layers.fast_weight_initializers, fast_weights, rank, fast_weight_stddev
  )
  first = _first_perturbed(model, kept)
  copies = _copies(
    paths,
    kept,
    options,
    lambda layer: functools.partial(initializers, layer is first),
    norm == 'member',
  )
  converted = _joined(model, copies, ensemble_size, keep_weights)
  for layer, copy in copies.items():
    if keep_weights or _is_adapted(layer):
      _assign(copy, layer.get_weights())
  return converted


def _first_perturbed(model, kept):
  """Returns the first layer that gets alpha and gamma, or None."""
  for layer in variables.flat_layers(model):
    if type(layer) in (*_CONVERTED, _SEPARABLE) and layer not in kept:
      return layer
  return None


def _is_adapted(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer has statistics that were adapted to data."""
  is_normalization = isinstance(layer, tf_keras.layers.Normalization)
  # A layer that is not adapted has zeros if it was built within
  # `without_initial_values`.
  return is_normalization and any(map(np.any, layer.get_weights()))


def _copies(paths, kept, options, initializers, has_own_norms):
  """Returns the layer of the BatchEnsemble for each layer of a network.

  Args:
    paths: The paths of the network's layers.
    kept: The layers that the members share unchanged.
    options: The arguments that all layers with alpha and gamma take.
    initializers: A function from a layer to a function that makes the
      initializers of its alpha and gamma.
    has_own_norms: Whether each member has its own norms.
  """
  copies = {}
  for layer, path in paths.items():
    if layer in kept or not layer.weights:
      copies[layer] = cloning.copy_layer(layer)
      continue
    if type(layer) in (*_CONVERTED, _SEPARABLE):
      _check_activation(layer, path)
      copies[layer] = _perturbed(layer, options, initializers(layer))
    else:
      size = options['ensemble_size']
      copies[layer] = _in_common(layer, path, has_own_norms, size)
    with tf.name_scope(layer.name):
      copies[layer].build(layer.get_input_shape_at(0))
  return copies


def _joined(model, copies, ensemble_size, is_used):
  """Joins the copies of a network's layers into a BatchEnsemble.

  Args:
    model: The plain network.
    copies: The layer of the BatchEnsemble for each layer of the network.
    ensemble_size: The number of members E.
    is_used: Whether the plain network is used later. If so, its layers are not
      called again, since a layer that is called twice has no single output.
  """
  (images,) = model.inputs
  images = tf_keras.Input(images.shape[1:], dtype=images.dtype, name='images')
  tile = layers.TileMembers(ensemble_size, name='tile_members')
  origins = {}
  if is_used:

    def twin(layer):
      copy = cloning.copy_layer(layer)
      origins[copy] = layer
      return copy

    with cloning.without_initial_values():
      model = cloning.clone(model, twin)

  def find(layer):
    if isinstance(layer, layers.TileMembers):
      return tile
    return copies[origins.get(layer, layer)]

  # Tensors have the same shapes for one member as for all members, but Keras
  # infers them faster for one member.
  with layers.only(0):
    # Calling the model itself would make it one nested layer.
    rows = tf_keras.Model(images, model.call(tile(images)), name=model.name)
    rows = cloning.clone(rows, find)
  logits = layers.SplitMembers(ensemble_size, name='split_members')(rows.output)
  return BatchEnsemble(rows.input, logits, name=model.name)


def set_plain_weights(
  model: tf_keras.Model, plain: tf_keras.Model, last: bool = True
) -> None:
  """Gives all members of an ensemble the weights of a plain network.

  Alpha and gamma do not change.

  Args:
    model: The model that `batch_ensemble` made from a network like `plain`.
    plain: The plain network.
    last: Whether to also set the weights of the last layer that has weights.
  """
  pairs = list(_pairs(model, plain))
  for copy, layer in pairs if last else pairs[:-1]:
    _assign(copy, layer.get_weights())


def _pairs(model, plain):
  """Yields pairs of the layers with weights of two networks of one graph."""
  copies = _by_name(model)
  for name, layer in _by_name(plain).items():
    if variables.is_network(layer):
      yield from _pairs(copies[name], layer)
    else:
      yield copies[name], layer


def _by_name(model):
  """Returns the layers with weights by name and by number within the name.

  Keras numbers layers without a given name across all networks of a process.
  Here the numbers of each name begin at 0.
  """
  found = {}
  for layer in model.layers:
    if layer.weights:
      name, _, number = layer.name.rpartition('_')
      if not number.isdecimal():
        name, number = layer.name, '0'
      found.setdefault(name, []).append((int(number), layer))
  return {
    (name, index): layer
    for name, numbered in found.items()
    for index, (_, layer) in enumerate(sorted(numbered, key=lambda n: n[0]))
  }


def check_rank(model: tf_keras.Model, rank: int, name: str = 'rank') -> None:
  """Raises an InputError about `name` for a rank that no matrix can have."""
  matrices = map(_matrix_shape, variables.flat_layers(model))
  most = max(map(min, filter(None, matrices)), default=0)
  if not most:
    raise InputError(
      'model', model.name, 'a network with a convolution or a dense layer'
    )
  if not 1 <= rank <= most:
    raise InputError(
      name,
      rank,
      f'from 1 to {most}, the highest rank of a matrix of {model.name}',
    )


def _paths(model, prefix=''):
  """Returns the layers, also of nested networks, with their paths.

  A network's own layers are in the order of `_in_order_of_creation`, followed
  by the layers that it does not reach. Layers of nested networks come first.
  """
  found = {}
  for layer in dict.fromkeys([*_in_order_of_creation(model), *model.layers]):
    path = f'{prefix}{layer.name}'
    if variables.is_network(layer):
      found = {**_paths(layer, f'{path}/'), **found}
    elif not isinstance(layer, tf_keras.layers.InputLayer):
      found.setdefault(layer, path)
  return found


def _in_order_of_creation(model: tf_keras.Model) -> list[Any]:
  """Returns the layers branch by branch.

  Random weights are drawn in this order, so a seed gives the same weights
  however Keras sorts the layers of a graph. A branch ends at a layer that was
  first called in another network.
  """
  inside, found = set(model.layers), {}
  waiting = [tensor.node.layer for tensor in model.inputs]  # pyright: ignore[reportGeneralTypeIssues]
  while waiting:
    layer = waiting.pop()
    # Only the first call of a layer counts.
    parents = {node.layer for node in layer.inbound_nodes[0].parent_nodes}
    if layer in inside and layer not in found and parents <= found.keys():
      found[layer] = None
      waiting += [node.layer for node in reversed(layer.outbound_nodes)]
  return list(found)


def _kept(paths, keep):
  """Returns the layers that the members share unchanged."""
  kept = set()
  for name, value in keep.items():
    ranges.one_of('shared').check(f'keep[{name!r}]', value)
    named = [x for x, path in paths.items() if name in (path, x.name)]
    if not named:
      hint = errors.nearest(name, list(paths.values()))
      raise InputError('keep', name, "a layer's name or path", hint)
    kept.update(named)
  return kept


def _perturbed(layer, options, initializers):
  """Returns the BatchEnsemble layer for a plain layer, not built yet."""
  if type(layer) is not _SEPARABLE:
    config = {**layer.get_config(), **options, **initializers()}
    return _CONVERTED[type(layer)].from_config(config)
  parts = [_perturbed(x, options, initializers) for x in _parts(layer)]
  return layers.SeparableConv2DBatchEnsemble(
    *(layers.config_of(part) for part in parts),
    name=layer.name,
    trainable=layer.trainable,
    dtype=layer.get_config()['dtype'],
  )


def _parts(layer):
  """Returns the two parts of a separable convolution, not built yet."""
  config = layer.get_config()

  def chosen(*names):
    return {name: config[name] for name in ('trainable', 'dtype', *names)}

  kinds = 'initializer', 'regularizer', 'constraint'
  depthwise = tf_keras.layers.DepthwiseConv2D.from_config(
    chosen(
      *('kernel_size', 'strides', 'padding', 'dilation_rate', 'data_format'),
      *('depth_multiplier', *(f'depthwise_{kind}' for kind in kinds)),
    )
    | {'use_bias': False, 'name': 'depthwise'}
  )
  pointwise = tf_keras.layers.Conv2D.from_config(
    chosen(
      *('filters', 'data_format', 'use_bias', 'activation'),
      *('activity_regularizer', *(f'bias_{kind}' for kind in kinds)),
    )
    | {f'kernel_{kind}': config[f'pointwise_{kind}'] for kind in kinds}
    | {'kernel_size': 1, 'name': 'pointwise'}
  )
  return depthwise, pointwise


def _check_activation(layer, path):
  """Raises an InputError if the activation of a layer has weights."""
  for inner in layer._flatten_layers(include_self=False):
    if inner.weights:
      raise InputError(
        path,
        type(inner).__name__,
        'a layer whose activation has no weights',
        'make the activation a layer of its own',
      )


def _in_common(layer, path, own_norms, ensemble_size):
  """Returns the copy of a layer that gets no alpha and gamma."""
  if type(layer) not in _SHARED:
    kind = type(layer).__name__
    raise InputError(
      path,
      kind,
      'a convolution, a dense layer, a norm, or a layer without weights',
      message=f'the layer {path!r} is a {kind}, which has weights and cannot '
      f"become a part of a BatchEnsemble; set `keep` to {{{path!r}: 'shared'}} "
      'to have all members share it as it is',
    )
  copy: Any = cloning.copy_layer(layer)
  if not own_norms or type(layer) not in _NORMS:
    return copy
  return layers.PerMember(
    layers.config_of(copy),
    ensemble_size,
    name=layer.name,
    trainable=layer.trainable,
    dtype=copy.get_config()['dtype'],
  )


def _assign(copy: Any, weights: Sequence[Any]) -> None:
  """Gives a layer of the BatchEnsemble the weights of the plain layer."""
  if isinstance(copy, cloning.PERTURBED):
    copy.assign_plain_weights(weights)
  elif isinstance(copy, layers.PerMember):
    for each in copy.layers:
      each.set_weights(weights)
  else:
    copy.set_weights(weights)


def _matrix_shape(layer):
  """Returns the sizes of the matrix that alpha and gamma perturb, if any."""
  if type(layer) is tf_keras.layers.DepthwiseConv2D:
    return 1, layer.depth_multiplier
  if type(layer) is _SEPARABLE:
    return layer.pointwise_kernel.shape[-2:]
  return layer.kernel.shape[-2:] if type(layer) in _CONVERTED else None
