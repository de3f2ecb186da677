"""Decides whether the weights of an ensemble are those of a BatchEnsemble.

The question is whether there are W0 and R_1, ..., R_E of rank at most k with
W_i = W0 o R_i (section 2 of Mariet et al. 2020, "Distilling Ensembles Improves
Uncertainty Estimates"). W0 is free. So for each pair of channels (c, o), the
R_i are only known up to a factor that is the same for all members.

W_i / W_j is a Hadamard quotient. It equals R_i / R_j for any W0. In a
convolution, it is therefore the same for all pixels: one matrix [Cin, Cout].

Rank 1 (theorem 1). If some member j has no zeros, W0 and R_i exist if and only
if every W_i / W_j is one matrix for all pixels, of rank 1 or 0.
  Only if: W_i / W_j = R_i / R_j = (alpha_i / alpha_j) (gamma_i / gamma_j)^T.
  If: take W0 = W_j and R_i = W_i / W_j.

Rank k.
  A necessary condition for any k: at each (c, o), the vectors over the pixels
  W_1[c, o], ..., W_E[c, o] are multiples of one vector, W0[c, o]. Matrices
  without pixels always fulfill this condition.
  A sufficient condition: for some j, all W_i / W_j have rank at most k. Take
  W0 = W_j. This condition is not necessary for ranks above 1: the quotient
  R_i / R_j of two matrices of rank 2 has full rank in general.
  A necessary and sufficient condition: there is a matrix S without zeros such
  that every S o (W_i / W_j) has rank at most k. Finding S is a problem like
  that of projective depths, and not one of linear algebra. So if the sufficient
  condition fails, alternating least squares search for S. The search starts
  from the S that gives the vectors over members unit length. If the search
  finds weights, they are the proof. If it finds none, this proves nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from uncertainty_distill.reconstruction import factors, least_squares

import numpy as np

# The most sweeps of the search. Two members of rank 2 or 3 may need thousands.
_SWEEPS = 5000


class Verdict(str, enum.Enum):
  """Whether members are a BatchEnsemble of a given rank, and if not, why."""

  EXISTS = 'yes'
  # The quotients differ between pixels, which rules out every rank.
  PIXELS_DIFFER = 'no: pixels'
  # Theorem 1 rules it out: a quotient has a rank above 1.
  QUOTIENTS_DIFFER = 'no: quotients'
  # The search found no BatchEnsemble, which proves nothing.
  UNDECIDED = 'none found'


def find_parameterization(
  kernels: Sequence[np.ndarray], rank: int = 1, tolerance: float = 1e-5
) -> tuple[Verdict, factors.Factors | None]:
  """Returns the BatchEnsemble whose members have these weights, if any.

  Args:
    kernels: W_1, ..., W_E of one layer, [Cin, Cout] or [h, w, Cin, Cout].
    rank: k, the rank of the perturbations.
    tolerance: The largest relative error of weights that count as the same:
      ||W0 o R_i - W_i|| <= tolerance ||W_i|| for every i.

  Returns:
    The verdict; and W0, alpha and gamma in the layers' layout, or None if no
    BatchEnsemble was found.

  Raises:
    InputError: If the kernels differ in shape or are not finite, or if the rank
      is below 1 or above the highest rank of the matrices.
  """
  members = factors.as_matrices(kernels, rank).astype(np.float64)
  if least_squares.GramMatrices(members).pixel_error() > tolerance:
    return Verdict.PIXELS_DIFFER, None
  # The members without zeros, by which the others can be divided.
  references = np.flatnonzero(members.any(axis=1).all(axis=(1, 2)))  # pyright: ignore[reportArgumentType]
  for index in references[: 1 if rank == 1 else None]:
    found = _with_reference(kernels, index, rank)
    if _reproduces(found, kernels, tolerance):
      return Verdict.EXISTS, found
  if rank == 1 and len(references):
    return Verdict.QUOTIENTS_DIFFER, None
  found = least_squares.reconstruct(
    kernels,
    rank,
    restarts=1,
    sweeps=_SWEEPS,
    tolerance=1e-5,
    target=0.3 * tolerance,
  )
  if _reproduces(found, kernels, tolerance):
    return Verdict.EXISTS, found
  return Verdict.UNDECIDED, None


def _with_reference(kernels, index, rank) -> factors.Factors:
  """Returns W0 = W_index and the R_i of the rank nearest to W_i / W_index."""
  kernel = np.asarray(kernels[index], np.float64)
  scaled, rows, columns = map(
    np.stack,
    zip(
      *(equilibrate(hadamard_quotient(member, kernel)) for member in kernels)
    ),
  )
  alpha, gamma = factors.low_rank(scaled, rank)
  return factors.make_factors(kernel, alpha * rows, gamma * columns)


def _reproduces(found, kernels, tolerance) -> bool:
  """Returns whether the factors give each member's weights."""
  return all(
    factors.relative_error([kernel], [member]) <= tolerance
    for kernel, member in zip(kernels, found.members(), strict=True)
  )


def hadamard_quotient(
  numerator: np.ndarray, denominator: np.ndarray
) -> np.ndarray:
  """Divides a member's kernel by another member's, entry by entry.

  Args:
    numerator: W_i, [Cin, Cout] or [h, w, Cin, Cout].
    denominator: W_j, of the same shape.

  Returns:
    W_i / W_j [Cin, Cout] in float64, with NaN where W_j is 0 in all pixels. For
    a convolution, the quotient is the one that fits all pixels best:
    <W_i, W_j> / <W_j, W_j> with inner products over the pixels.

  Raises:
    InputError: If the shapes differ, or if a kernel is not finite.
  """
  w_i, w_j = factors.as_matrices([numerator, denominator]).astype(np.float64)
  squares = np.sum(w_j * w_j, axis=0)
  products = np.sum(w_i * w_j, axis=0)
  defined = squares > 0
  return np.where(defined, products / np.where(defined, squares, 1), np.nan)


def numerical_rank(matrix: np.ndarray, tolerance: float = 1e-5) -> int:
  """Returns the number of singular values above a tolerance.

  Rows and columns are first scaled to one size, which does not change the rank.
  Without the scaling, a channel that is 1000 times larger than the others, as
  happens in quotients, would hide their rank below its rounding errors.

  Args:
    matrix: The matrix [Cin, Cout], with NaN for undefined entries. Columns
      without a defined entry are left out, and then rows with an undefined
      entry. The rank is that of the rest.
    tolerance: The tolerance, in units of the largest singular value.
  """
  undefined = np.isnan(matrix)
  outputs = ~undefined.all(axis=0)
  inputs = ~undefined[:, outputs].any(axis=1)
  scaled = equilibrate(matrix[inputs][:, outputs])[0]
  if not scaled.size:
    return 0
  values = np.linalg.svd(scaled, compute_uv=False)
  return int(np.sum(values > tolerance * values[0]))


def equilibrate(
  matrix: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Scales rows and columns to a norm of about 1.

  Returns:
    (S, row scales r, column scales c), where matrix = r[:, None] * S * c.
  """
  rows, columns = np.ones(matrix.shape[0]), np.ones(matrix.shape[1])
  for _ in range(3):
    for scales, axis in (rows, 1), (columns, 0):
      norms = np.linalg.norm(matrix / rows[:, None] / columns, axis=axis)
      scales *= np.where(norms > 0, norms, 1)
  return matrix / rows[:, None] / columns, rows, columns


def quotient_ranks(kernels: Sequence[np.ndarray]) -> np.ndarray:
  """Returns the numerical ranks [E, E] of W_i / W_j for all i and j."""
  return np.array(
    [
      [numerical_rank(hadamard_quotient(w_i, w_j)) for w_j in kernels]
      for w_i in kernels
    ]
  )
