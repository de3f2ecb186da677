"""When the weights of an ensemble are those of a BatchEnsemble.

The question is whether there are W0 and R_1, ..., R_E of rank k at most with
W_i = W0 o R_i (section 2 of Mariet et al. 2020, "Distilling Ensembles Improves
Uncertainty Estimates"). W0 is free, so R is only known up to a factor of its
own for each pair of channels (c, o), the same for all members.

W_i / W_j is a Hadamard quotient: R_i / R_j, whatever W0 is. In a convolution it
is therefore the same for all pixels, one matrix [Cin, Cout].

Rank 1 (theorem 1). Where some member j has no zeros, there are such W0 and R_i
if and only if every W_i / W_j is one matrix for all pixels, of rank 1 or 0.
  Only if: W_i / W_j = R_i / R_j = (alpha_i / alpha_j) (gamma_i / gamma_j)^T.
  If: take W0 = W_j and R_i = W_i / W_j.

Rank k.
  Necessary, for any k: at each (c, o) the vectors over the pixels W_1[c, o],
  ..., W_E[c, o] are multiples of one vector, W0[c, o]. In matrices without
  pixels that is no condition.
  Sufficient: all W_i / W_j have rank k at most, for some j. Take W0 = W_j.
  That is not necessary from rank 2 on: the quotient R_i / R_j of two matrices
  of rank 2 has full rank in general. Necessary and sufficient is a matrix S
  without zeros such that every S o (W_i / W_j) has rank k at most: a problem
  like that of projective depths, and not one of linear algebra. So where the
  sufficient condition fails, S is searched for by alternating least squares,
  from the start at which the vectors over members have unit length. What it
  finds is proved by the weights that it returns; that it finds none is no
  proof.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from uncertainty_distill.reconstruction import factors, least_squares

import numpy as np

# Of the search; where two members have rank 2 or 3, it may need thousands.
_SWEEPS = 5000


class Verdict(str, enum.Enum):
  """Whether members are a BatchEnsemble of some rank, and why not."""

  EXISTS = 'yes'
  # Their differences are not the same for all pixels, as those of any rank are.
  PIXELS_DIFFER = 'no: pixels'
  # By theorem 1: a quotient has a rank above 1.
  QUOTIENTS_DIFFER = 'no: quotients'
  # The search found none, which is no proof.
  UNDECIDED = 'none found'


def find_parameterization(
  kernels: Sequence[np.ndarray], rank: int = 1, tolerance: float = 1e-5
) -> tuple[Verdict, factors.Factors | None]:
  """Returns the BatchEnsemble whose members have these weights, if any.

  Args:
    kernels: W_1, ..., W_E of one layer, [Cin, Cout] or [h, w, Cin, Cout].
    rank: k, the rank of the perturbations.
    tolerance: Weights are the same if ||W0 o R_i - W_i|| <= tolerance ||W_i||
      for every i.

  Returns:
    (The verdict; W0, alpha and gamma in the layers' layout where they exist.)

  Raises:
    InputError: If the kernels differ in shape, or if the rank is below 1 or
      above the matrices'.
  """
  members = factors.as_matrices(kernels, rank).astype(np.float64)
  if least_squares.GramMatrices(members).pixel_error() > tolerance:
    return Verdict.PIXELS_DIFFER, None
  # The members by which the others can be divided.
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
  """Returns W0 = W_index and the best R_i of the rank for W_i / W_index."""
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
  """Returns whether each member's weights come back."""
  return all(
    factors.relative_error([kernel], [member]) <= tolerance
    for kernel, member in zip(kernels, found.members(), strict=True)
  )


def hadamard_quotient(
  numerator: np.ndarray, denominator: np.ndarray
) -> np.ndarray:
  """Divides a member's kernel by another's, entry by entry.

  Args:
    numerator: W_i, [Cin, Cout] or [h, w, Cin, Cout].
    denominator: W_j, of the same shape.

  Returns:
    W_i / W_j [Cin, Cout] in float64, and NaN where W_j is 0 in all pixels. For
    a convolution it is the quotient that fits all pixels best:
    <W_i, W_j> / <W_j, W_j> over them.

  Raises:
    InputError: If the shapes differ.
  """
  w_i, w_j = factors.as_matrices([numerator, denominator]).astype(np.float64)
  squares = np.sum(w_j * w_j, axis=0)
  products = np.sum(w_i * w_j, axis=0)
  defined = squares > 0
  return np.where(defined, products / np.where(defined, squares, 1), np.nan)


def numerical_rank(matrix: np.ndarray, tolerance: float = 1e-5) -> int:
  """Returns the number of singular values above a tolerance.

  Rows and columns are first scaled to one size, which leaves the rank as it is:
  otherwise a channel that is 1000 times larger than the others, as happens in
  quotients, would hide their rank below its rounding errors.

  Args:
    matrix: [Cin, Cout]; NaN is undefined. Rows and columns that are undefined
      throughout are left out, and then rows that still have an undefined entry:
      the rank is that of the rest.
    tolerance: In units of the largest singular value.
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
    (S, row scales r, column scales c) with matrix = r[:, None] * S * c.
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
