"""Measures how far an ensemble is from a BatchEnsemble, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uncertainty_distill import models
from uncertainty_distill.reconstruction import (
  factors,
  least_squares,
  networks,
  theorem,
)

import numpy as np
import tf_keras


@dataclasses.dataclass(frozen=True)
class LayerComparison:
  """The comparison of one convolution or dense layer of all members.

  If a rank is above the highest rank of the layer's matrices, that highest rank
  is used instead.

  Attributes:
    name: The name of the members' layer.
    shape: The shape of a member's kernel, [Cin, Cout] or [h, w, Cin, Cout];
      Cin is 1 in a depthwise convolution.
    quotient_ranks: The lowest and the highest numerical rank of W_i / W_j over
      all pairs i != j.
    undefined: The number of entries of the quotients that divide by 0.
    pixel_error: The relative error that remains at any rank, because members
      differ from pixel to pixel.
    verdicts: For each rank, whether a BatchEnsemble of this rank has the
      members' weights, and if not, why.
    errors: For each rank, the relative error of the nearest BatchEnsemble that
      was found.
    squared_norm: The squared norm of all members' kernels, sum_i ||W_i||^2.
  """

  name: str
  shape: tuple[int, ...]
  quotient_ranks: tuple[int, int]
  undefined: int
  pixel_error: float
  verdicts: Mapping[int, theorem.Verdict]
  errors: Mapping[int, float]
  squared_norm: float

  @property
  def full_rank(self) -> int:
    """The highest rank that a matrix of this layer can have."""
    return min(self.shape[-2:])


def compare_layers(
  members: Sequence[tf_keras.Model],
  ranks: Sequence[int],
  *,
  after_layer: Callable[[], Any] = lambda: None,
) -> list[LayerComparison]:
  """Compares an ensemble with the nearest BatchEnsembles, layer by layer.

  Args:
    members: E >= 2 plain networks of one architecture.
    ranks: The ranks of the perturbations.
    after_layer: A function to call after each layer, to show the progress.

  Returns:
    One comparison for each layer, in the network's order.

  Raises:
    InputError: If a rank is below 1 or above every layer's highest rank, if the
      members have grouped convolutions with several channels in a group, or if
      they have weights that are not finite.
  """
  for rank in ranks:
    models.check_rank(members[0], rank)
  found = []
  for places in networks.paired_kernels(members):
    kernels = [kernel.numpy() for kernel in places]
    found.append(_compare(places[0].name, kernels, ranks))
    after_layer()
  return found


def joint_error(
  layers: Sequence[LayerComparison], errors: Sequence[float]
) -> float:
  """Returns the relative error of all layers together.

  Args:
    layers: The comparisons of the layers.
    errors: The relative error of each layer.
  """
  norms = np.array([layer.squared_norm for layer in layers])
  total = norms.sum()
  return float(np.sqrt(norms @ np.square(errors) / total)) if total else 0.0


def _compare(name, kernels, ranks) -> LayerComparison:
  """Compares one layer's kernels."""
  matrices = factors.as_matrices(kernels)
  full = min(matrices.shape[-2:])
  found = {r: _nearest(kernels, r) for r in {min(rank, full) for rank in ranks}}
  others = ~np.eye(len(kernels), dtype=bool)
  quotient_ranks = theorem.quotient_ranks(kernels)[others].tolist()
  return LayerComparison(
    name,
    kernels[0].shape,
    (min(quotient_ranks), max(quotient_ranks)),
    int(np.sum(~matrices.any(axis=1))) * (len(kernels) - 1),
    least_squares.GramMatrices(matrices).pixel_error(),
    {rank: found[min(rank, full)][0] for rank in ranks},
    {rank: found[min(rank, full)][1] for rank in ranks},
    float(np.sum(np.square(matrices, dtype=np.float64))),
  )


def _nearest(kernels, rank) -> tuple[theorem.Verdict, float]:
  """Returns the verdict for a rank, and the smallest relative error found."""
  verdict, found = theorem.find_parameterization(kernels, rank)
  found = found or least_squares.reconstruct(kernels, rank)
  return verdict, found.error(kernels)
