"""Reconstructs an ensemble of whole networks as one BatchEnsemble near them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import models
from uncertainty_distill.errors import InputError
from uncertainty_distill.reconstruction import alignment, least_squares
from uncertainty_distill.reconstruction import factors as factors_lib

import numpy as np
import tf_keras


@dataclasses.dataclass(frozen=True)
class NetworkReconstruction:
  """The weights of a whole network, found from an ensemble.

  Attributes:
    layers: For each kernel, in the network's order, the weights of the nearest
      BatchEnsemble found and the members' own biases [E, units], or None if the
      layer has no bias.
    norms: For each layer with weights but no kernel, the mean of the members'
      variables, such as a BatchNorm's scale, offset, moving mean and moving
      variance.
  """

  layers: tuple[tuple[factors_lib.Factors, np.ndarray | None], ...]
  norms: tuple[tuple[np.ndarray, ...], ...]


def reconstruct_network(
  members: Sequence[tf_keras.Model],
  rank: int = 1,
  *,
  align: bool = False,
  after_layer: Callable[[], Any] = lambda: None,
  **options: Any,
) -> NetworkReconstruction:
  """Returns the BatchEnsemble nearest to an ensemble, layer by layer.

  Args:
    members: E plain networks of one architecture, which are not changed.
    rank: k, the rank of the perturbations. If a layer's matrices cannot have
      this rank, the terms above their highest rank are 0.
    align: Whether to first put each member's neurons into the order in which
      its weights are most like the first member's.
    after_layer: A function to call after each layer, to show the progress.
    **options: More arguments of `reconstruct`.

  Raises:
    InputError: If the members are of different architectures, have grouped
      convolutions with several channels in a group, or have weights that are
      not finite, or if the rank is below 1 or above every layer's highest rank.
  """
  shapes = [[w.shape for w in member.weights] for member in members]
  if any(of_member != shapes[0] for of_member in shapes):
    raise InputError(
      'members', 'networks of different shapes', 'networks of one architecture'
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
  models.check_rank(members[0], rank)
  layers = []
  for places in paired_kernels(members):
    shape = places[0].shape
    kernels = [np.reshape(values[k.variable.ref()], shape) for k in places]
    bias = None
    if places[0].bias is not None:
      bias = np.stack([values[k.bias.ref()] for k in places])  # pyright: ignore[reportOptionalMemberAccess]
    nearest = least_squares.reconstruct(
      kernels, min(rank, *kernels[0].shape[-2:]), **options
    )
    layers.append((nearest.in_rank(rank), bias))
    after_layer()
  return NetworkReconstruction(tuple(layers), _mean_norms(members, values))


def paired_kernels(
  members: Sequence[tf_keras.Model],
) -> list[tuple[models.Kernel, ...]]:
  """Returns each kernel as a tuple over the members, in the network's order.

  Raises:
    InputError: If a network has a grouped convolution with several channels in
      a group.
  """
  pairs = list(zip(*map(models.kernels, members), strict=True))
  for kernel, *_ in pairs:
    if kernel.groups > 1 and kernel.shape[-2] > 1:
      raise InputError(
        'members',
        kernel.name,
        'networks whose convolutions have one group, or one for each channel',
        message=f'The layer {kernel.name} is a convolution of {kernel.groups} '
        'groups, for which the nearest BatchEnsemble is not known.',
      )
  return pairs


def _mean_norms(members, values) -> tuple[tuple[np.ndarray, ...], ...]:
  """Returns the mean over members of the variables of layers without kernel."""
  return tuple(
    tuple(
      np.mean([values[v.ref()] for v in same], axis=0).astype(
        values[same[0].ref()].dtype
      )
      for same in zip(*(layer.weights for layer in places))
    )
    for places in zip(*map(_norms, members), strict=True)
  )


def initialize(student: tf_keras.Model, weights: NetworkReconstruction) -> None:
  """Gives a BatchEnsemble the weights of a reconstruction.

  Args:
    student: A BatchEnsemble with the architecture, number of members and rank
      of the reconstruction.
    weights: The weights for the student.

  Raises:
    InputError: If a shape differs; the student is then unchanged.
  """
  pairs = []
  for kernel, (factors, bias) in zip(models.kernels(student), weights.layers):
    value, alpha = factors.kernel, factors.alpha
    if value.shape == kernel.shape:
      value = value.reshape(tuple(kernel.variable.shape))
    if kernel.groups > 1 and kernel.alpha is not None:
      # All groups share one alpha; the layer has the alpha of all its inputs.
      alpha = np.tile(alpha, kernel.groups)
    pairs += [
      (kernel.variable, value),
      (kernel.alpha, alpha),
      (kernel.gamma, factors.gamma),
    ]
    if bias is not None:
      pairs.append((kernel.bias, bias))
  for layer, values in zip(_norms(student), weights.norms):
    pairs += zip(layer.weights, values)
  given = {v.ref() for v, _ in pairs if v is not None}
  wanted = {v.ref() for v in student.weights}
  if given != wanted or any(
    variable is None or variable.shape != value.shape
    for variable, value in pairs
  ):
    raise InputError(
      'student',
      student.name,
      'a BatchEnsemble of the architecture, members and rank of the '
      'reconstruction',
    )
  for variable, value in pairs:
    variable.assign(value)
  models.finalize(student)


def _norms(model):
  """Returns the layers that have weights but no kernel."""
  with_kernel = {k.variable.ref() for k in models.kernels(model)}
  return [
    layer
    for layer in models.flat_layers(model)
    if layer.weights and not with_kernel & {v.ref() for v in layer.weights}
  ]
