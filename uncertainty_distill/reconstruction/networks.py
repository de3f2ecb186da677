"""From the networks of an ensemble to one BatchEnsemble near them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill.errors import InputError
from uncertainty_distill.models import variables
from uncertainty_distill.reconstruction import alignment, least_squares

import numpy as np
import tf_keras


@dataclasses.dataclass(frozen=True)
class LayerReconstruction:
  """One convolution or dense layer.

  Attributes:
    name: Of the members' layer.
    closest: The closest BatchEnsemble layer that was found.
    bias: The members' own, [E, units], or None.
  """

  name: str
  closest: least_squares.Reconstruction
  bias: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class NetworkReconstruction:
  """A whole network.

  Attributes:
    layers: In the network's order.
    norms: Of each BatchNorm layer scale, offset, moving mean and moving
      variance, the means of the members'.
  """

  layers: tuple[LayerReconstruction, ...]
  norms: tuple[tuple[np.ndarray, ...], ...]


def reconstruct_network(
  members: Sequence[tf_keras.Model],
  rank: int = 1,
  *,
  align: bool = False,
  after_layer: Callable[[], Any] = lambda: None,
  **options: Any,
) -> NetworkReconstruction:
  """Returns the BatchEnsemble closest to an ensemble, layer by layer.

  Args:
    members: E plain networks of one architecture; they stay as they are.
    rank: k, of the perturbations. In a layer whose matrices have a lower rank
      at most, the terms above that are 0.
    align: Whether first to put each member's neurons into the order in which
      its weights are most like the first member's.
    after_layer: Called after each layer, to show the progress.
    **options: Of `reconstruct`.

  Raises:
    InputError: If the members are of different architectures, or if the rank is
      below 1 or above that of every layer's matrices.
  """
  shapes = [[w.shape for w in member.weights] for member in members]
  if any(of_member != shapes[0] for of_member in shapes):
    raise InputError(
      'members', 'networks of different shapes', 'one architecture'
    )
  weights = (
    alignment.aligned_weights(members)
    if align
    else [member.get_weights() for member in members]
  )
  values = {
    variable.ref(): value
    for member, arrays in zip(members, weights)
    for variable, value in zip(member.weights, arrays, strict=True)
  }
  check_rank(members[0], rank)
  layers = []
  for places in zip(*map(variables.kernel_layers, members), strict=True):
    kernels = [values[layer.kernel.ref()] for layer in places]
    bias = None
    if places[0].bias is not None:
      bias = np.stack([values[layer.bias.ref()] for layer in places])
    closest = least_squares.reconstruct(
      kernels, min(rank, *kernels[0].shape[-2:]), **options
    )
    closest = dataclasses.replace(
      closest, factors=closest.factors.in_rank(rank)
    )
    layers.append(LayerReconstruction(places[0].name, closest, bias))
    after_layer()
  return NetworkReconstruction(tuple(layers), _mean_norms(members, values))


def _mean_norms(members, values) -> tuple[tuple[np.ndarray, ...], ...]:
  """Returns the members' mean variables of each normalisation."""
  return tuple(
    tuple(
      np.mean([values[v.ref()] for v in same], axis=0)
      for same in zip(*map(_norm_variables, places))
    )
    for places in zip(*map(_norms, members), strict=True)
  )


def check_rank(network: tf_keras.Model, rank: int) -> None:
  """Raises an InputError for a rank that no layer's matrices have."""
  most = max(
    min(layer.kernel.shape[-2:]) for layer in variables.kernel_layers(network)
  )
  if not 1 <= rank <= most:
    raise InputError(
      'rank',
      rank,
      f'1 to {most}, the most that a matrix of {network.name} has',
    )


def initialize(student: tf_keras.Model, weights: NetworkReconstruction) -> None:
  """Gives a BatchEnsemble the weights of a reconstruction.

  Args:
    student: Of the depth, width, members and rank of the reconstruction.
    weights: What it is to have.

  Raises:
    InputError: If a shape differs; then nothing is changed.
  """
  pairs = []
  for layer, its in zip(variables.kernel_layers(student), weights.layers):
    factors = its.closest.factors
    pairs += [
      (layer.kernel, factors.kernel),
      (getattr(layer, 'alpha', None), factors.alpha),
      (getattr(layer, 'gamma', None), factors.gamma),
    ]
    if its.bias is not None:
      pairs.append((getattr(layer, 'ensemble_bias', None), its.bias))
  for layer, values in zip(_norms(student), weights.norms):
    pairs += zip(_norm_variables(layer), values)
  found = {v.ref() for v, _ in pairs if v is not None}
  wanted = {v.ref() for v in student.weights}
  if found != wanted or any(v.shape != w.shape for v, w in pairs):
    raise InputError(
      'student',
      student.name,
      'a BatchEnsemble of the depth, width, members and rank of the '
      'reconstruction',
    )
  for variable, value in pairs:
    variable.assign(value)


def _norms(model):
  kind = tf_keras.layers.BatchNormalization
  return [layer for layer in model.layers if isinstance(layer, kind)]


def _norm_variables(layer):
  return layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
