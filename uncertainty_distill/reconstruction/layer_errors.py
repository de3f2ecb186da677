"""How far from a BatchEnsemble the networks of an ensemble are, by layer."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uncertainty_distill.models import variables
from uncertainty_distill.reconstruction import (
  least_squares,
  networks,
  quotients,
)

import numpy as np
import tf_keras


@dataclasses.dataclass(frozen=True)
class LayerComparison:
  """One convolution or dense layer of all members.

  Attributes:
    name: Of the members' layer.
    shape: Of a member's kernel, [Cin, Cout] or [h, w, Cin, Cout].
    quotient_ranks: The lowest and the highest numerical rank of W_i / W_j over
      all pairs i != j.
    reference_rank: The highest rank over i of W_i / W_j, for the j for which it
      is lowest: where the quotients are the same for all pixels, there is a
      BatchEnsemble of this rank (see `theorem`).
    undefined: Entries of the quotients in which a member is divided by 0.
    pixel_error: The relative error that is left at any rank, because members
      differ from pixel to pixel.
    errors: From each rank to the relative error of the closest BatchEnsemble
      that was found; where the layer's matrices have a lower rank at most, it
      is that one's.
    squared_norm: sum_i ||W_i||^2.
  """

  name: str
  shape: tuple[int, ...]
  quotient_ranks: tuple[int, int]
  reference_rank: int
  undefined: int
  pixel_error: float
  errors: Mapping[int, float]
  squared_norm: float

  @property
  def full_rank(self) -> int:
    """The most that a matrix of this layer has."""
    return min(self.shape[-2:])

  def exact_rank(self, tolerance: float = 1e-5) -> int | None:
    """Returns a rank at which the members are one BatchEnsemble, if any.

    No lower one than 1 is tried; a rank above 1 need not be the lowest.
    """
    if self.pixel_error > tolerance or self.undefined:
      return None
    return max(self.reference_rank, 1)


def compare_layers(
  members: Sequence[tf_keras.Model],
  ranks: Sequence[int],
  *,
  after_layer: Callable[[], Any] = lambda: None,
) -> list[LayerComparison]:
  """Compares an ensemble with the closest BatchEnsembles, layer by layer.

  Args:
    members: E >= 2 plain networks of one architecture.
    ranks: Of the perturbations.
    after_layer: Called after each layer, to show the progress.

  Returns:
    One for each layer, in the network's order.

  Raises:
    InputError: If a rank is below 1 or above that of every layer's matrices.
  """
  for rank in ranks:
    networks.check_rank(members[0], rank)
  found = []
  for places in zip(*map(variables.kernel_layers, members), strict=True):
    kernels = [layer.kernel.numpy() for layer in places]
    found.append(_compare(places[0].name, kernels, ranks))
    after_layer()
  return found


def joint_error(
  layers: Sequence[LayerComparison], errors: Sequence[float]
) -> float:
  """Returns the relative error of all layers together, given each one's."""
  squares = sum(
    error**2 * layer.squared_norm for layer, error in zip(layers, errors)
  )
  total = sum(layer.squared_norm for layer in layers)
  return float(np.sqrt(squares / total)) if total else 0.0


def _compare(name, kernels, ranks) -> LayerComparison:
  """Compares one layer's kernels."""
  full = min(kernels[0].shape[-2:])
  # Ranks above the matrices' are that of the matrices, and computed once.
  closest = {
    rank: least_squares.reconstruct(kernels, rank)
    for rank in {min(rank, full) for rank in ranks}
  }
  found, undefined = {}, 0
  for i, j in itertools.permutations(range(len(kernels)), 2):
    quotient = quotients.hadamard_quotient(kernels[i], kernels[j])
    found[i, j] = quotients.numerical_rank(quotient.matrix).rank
    undefined += len(quotient.undefined)
  return LayerComparison(
    name,
    kernels[0].shape,
    (min(found.values()), max(found.values())),
    min(
      max(rank for (_, of), rank in found.items() if of == j)
      for j in range(len(kernels))
    ),
    undefined,
    next(iter(closest.values())).pixel_error,
    {rank: closest[min(rank, full)].relative_error for rank in ranks},
    float(sum(np.sum(np.square(k, dtype=np.float64)) for k in kernels)),
  )
