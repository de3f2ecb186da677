"""Puts the neurons of all members into the first member's order.

A network computes the same function if the channels between two layers change
places. So two members may differ only in the order of their channels (appendix
A of Mariet et al. 2020, "Distilling Ensembles Improves Uncertainty Estimates").
This module looks for the order that makes a member's weights most like the
first member's: the order with the largest sum of products over all parameters.

The method is the weight matching of Ainsworth et al. 2023, "Git Re-Basin". A
group is a set of channels that one permutation moves. Each group's permutation
is found by a linear assignment given the permutations of the others, until
nothing improves. Channels that are added to each other belong to one group, so
a residual stream has one permutation. The result is an optimum for one group at
a time, unless a group moves two axes of one kernel, as in x + conv(x). It is
never less alike than the given order, and need not be the best one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from uncertainty_distill import models
from uncertainty_distill.errors import InputError

import numpy as np
import tf_keras

_MAX_SWEEPS = 100

_KERAS = tf_keras.layers
_ALIKE = (
  _KERAS.Activation,
  _KERAS.Add,
  _KERAS.AveragePooling2D,
  _KERAS.Dropout,
  _KERAS.GlobalAveragePooling2D,
  _KERAS.GlobalMaxPooling2D,
  _KERAS.MaxPooling2D,
  _KERAS.Multiply,
  _KERAS.ReLU,
  _KERAS.ZeroPadding2D,
)
_ALIKE_OPERATIONS = ('relu', 'relu6', 'silu', 'gelu')


@dataclasses.dataclass(frozen=True)
class _Parameter:
  """A variable and the group that moves each of its axes.

  Attributes:
    index: The index of the variable in the model's weights.
    axes: (axis, group) pairs; the other axes stay as they are.
    matched: Whether the variable counts for how alike two members are. Moving
      statistics do not count: they describe activations, and are large.
  """

  index: int
  axes: tuple[tuple[int, Any], ...]
  matched: bool


def aligned_weights(
  members: Sequence[tf_keras.Model],
) -> list[list[np.ndarray]]:
  """Returns members' weights in the order of the first member's neurons.

  Channels that cannot be followed from layer to layer stay where they are, such
  as the channels of nested networks, the channels of layers that are used
  twice, and the inputs of a concatenation.

  Args:
    members: Plain networks of one architecture.

  Returns:
    For each member, the weights for its `set_weights`, which leave its function
    unchanged. The first member's weights are its own.

  Raises:
    InputError: If the members are of different architectures.
  """
  weights = [member.get_weights() for member in members]
  shapes = [[w.shape for w in member] for member in weights]
  for index, member in enumerate(shapes):
    if member != shapes[0]:
      raise InputError(
        'members',
        f'member {index}, whose weights have other shapes',
        'networks of one architecture',
      )
  parameters = _parameters(members[0])
  return weights[:1] + [
    _permuted(other, parameters, _match(weights[0], other, parameters))
    for other in weights[1:]
  ]


def _parameters(model: tf_keras.Model) -> list[_Parameter]:
  """Finds out which group moves which axis, from the graph of the layers.

  The channels of the images and the classes are in a group that is not moved.
  """
  # SciPy takes long to import, and most processes do not need it.
  from scipy.cluster import hierarchy

  fixed = object()
  groups = hierarchy.DisjointSet([fixed])
  channels = {}  # From each layer to the group of its output.
  index = {variable.ref(): i for i, variable in enumerate(model.weights)}
  found = []
  for layer in model.layers:
    parents = {
      channels[n.layer] for n in _parents(layer) if n.layer in channels
    }
    groups.add(layer.name)
    found += _follow(layer, parents, groups, fixed)
    channels[layer] = layer.name
  for layer in model.layers:
    if not _is_followed(layer):
      for node in _parents(layer):
        groups.merge(fixed, channels[node.layer])
  groups.merge(fixed, channels[model.layers[-1]])
  sizes = {}
  for variable, axes, _ in found:
    for axis, group in axes:
      # A sum or product of one channel with many cannot be followed.
      size = variable.shape[axis]
      if sizes.setdefault(groups[group], size) != size:
        groups.merge(fixed, group)
  return [
    _Parameter(
      index[variable.ref()],
      tuple(
        (axis, groups[group])
        for axis, group in axes
        if groups[group] != groups[fixed]
      ),
      matched,
    )
    for variable, axes, matched in found
  ]


def _follow(layer, parents, groups, fixed):
  """Merges the groups of a layer's channels and returns what they move.

  Args:
    layer: The layer, whose name is the group of its output.
    parents: The groups of the channels of the layer's inputs.
    groups: All groups; groups that must move together are merged here.
    fixed: The group that is not moved.

  Returns:
    For each weight of the layer that moves, the variable, (axis, group) pairs,
    and whether the variable counts for how alike two members are.
  """
  group = layer.name
  kernels = [*models.kernels_of_layer(layer)]
  # A separable convolution has two.
  kernel = kernels[0] if len(kernels) == 1 else None
  if kernel and kernel.groups == 1 and _is_followed(layer):
    (source,) = parents
    last = len(kernel.shape) - 1
    axes = (last - 1, source), (last, group)
    bias = [] if kernel.bias is None else [(kernel.bias, ((0, group),), True)]
    return [(kernel.variable, axes, True), *bias]
  if _is_followed(layer) and _treats_channels_alike(layer):
    for parent in parents:
      groups.merge(group, parent)
    # A depthwise kernel has its channels on the axis before the last one.
    return [
      (v, ((max(len(v.shape) - 2, 0), group),), v.trainable)
      for v in layer.weights
    ]
  for parent in (group, *parents):
    groups.merge(fixed, parent)
  return []


def _parents(layer):
  """Returns the nodes whose outputs a layer takes."""
  return [p for node in layer.inbound_nodes for p in node.parent_nodes]


def _is_followed(layer):
  """Returns whether a layer is used only once and is not a network."""
  return len(layer.inbound_nodes) == 1 and not isinstance(layer, tf_keras.Model)


def _treats_channels_alike(layer):
  """Returns whether a layer treats all channels alike and keeps their order."""
  if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
    return layer.depth_multiplier == 1
  operation = getattr(layer, 'symbol', '').rpartition('.')[2]
  if isinstance(layer, (_KERAS.BatchNormalization, _KERAS.LayerNormalization)):
    return list(layer.axis) == [len(layer.output_shape) - 1]  # pyright: ignore[reportArgumentType]
  if operation == 'reduce_mean':
    (node,) = layer.inbound_nodes
    axis = node.call_kwargs.get('axis', next(iter(node.call_args[1:]), None))
    return axis in ([1, 2], (1, 2))
  several = len(_parents(layer)) > 1
  return isinstance(layer, _ALIKE) or (
    operation in _ALIKE_OPERATIONS or (operation == 'add' and several)
  )


def _permuted(weights, parameters, order):
  """Returns the weights with each group in its given order."""
  moved = list(weights)
  for parameter in parameters:
    for axis, group in parameter.axes:
      moved[parameter.index] = np.take(
        moved[parameter.index], order[group], axis
      )
  return moved


def _match(reference, other, parameters) -> dict[Any, np.ndarray]:
  """Returns each group's order that makes `other` most like `reference`."""
  # SciPy takes long to import, and most processes do not need it.
  from scipy import optimize

  uses = {}
  for parameter in parameters:
    if parameter.matched:
      for axis, group in parameter.axes:
        uses.setdefault(group, []).append((parameter, axis))
  order = {
    group: np.arange(reference[first[0].index].shape[first[1]])
    for group, (first, *_) in uses.items()
  }
  for _ in range(_MAX_SWEEPS):
    improved = False
    for group, of_group in uses.items():
      alike = sum(
        _similarity(reference, other, parameter, axis, order)
        for parameter, axis in of_group
      )
      kept, before = order[group], _total(reference, other, of_group, order)
      order[group] = optimize.linear_sum_assignment(alike, maximize=True)[1]
      # A kernel that the group moves on two axes may be less alike then. And
      # rounding must not make two equally good orders alternate forever.
      gain = _total(reference, other, of_group, order) - before
      if gain > 1e-6 * np.abs(alike).max():  # pyright: ignore[reportArgumentType]
        improved = True
      else:
        order[group] = kept
    if not improved:
      break
  return order


def _total(reference, other, of_group, order):
  """Returns the sum of products over the parameters that a group moves."""
  moved = {parameter.index: parameter for parameter, _ in of_group}
  permuted = _permuted(other, moved.values(), order)
  return sum(float(np.vdot(reference[i], permuted[i])) for i in moved)


def _similarity(reference, other, parameter, axis, order):
  """Returns the products [C, C] of the reference's and the other's channels.

  The given axis keeps the other's own order. All other axes are permuted.
  """
  moved = other[parameter.index]
  for another, group in parameter.axes:
    if another != axis:
      moved = np.take(moved, order[group], another)
  first = np.moveaxis(reference[parameter.index], axis, 0)
  second = np.moveaxis(moved, axis, 0)
  size = len(first)
  return first.reshape(size, -1) @ second.reshape(size, -1).T
