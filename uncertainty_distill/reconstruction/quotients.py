"""Hadamard quotients of the weights of two members, and their rank.

If W_i = W0 o R_i and W_j = W0 o R_j, then W_i / W_j = R_i / R_j, whatever W0:
the quotient tells of the perturbations alone. In a convolution it is therefore
the same for all pixels, one matrix [Cin, Cout].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from uncertainty_distill.reconstruction import factors

import numpy as np


@dataclasses.dataclass(frozen=True)
class Quotient:
  """W_i / W_j, where it is defined.

  Attributes:
    matrix: [Cin, Cout] in float64, NaN where it is undefined. For a convolution
      it is the one that fits all pixels best: <W_i, W_j> / <W_j, W_j> over
      them.
    undefined: [N, 2], the (input, output) channels where W_j is 0 in all
      pixels.
    residual: ||W_i - W_j o matrix|| / ||W_i||: 0 if the quotient is the same
      for all pixels, and W_i is 0 where it is undefined.
  """

  matrix: np.ndarray
  undefined: np.ndarray
  residual: float


@dataclasses.dataclass(frozen=True)
class NumericalRank:
  """The rank of a matrix in which rows and columns are scaled alike.

  Attributes:
    rank: The number of singular values above the tolerance.
    singular_values: In units of the largest, in descending order.
    dropped_inputs: Rows that were left out for their undefined entries.
    dropped_outputs: Columns, likewise.
  """

  rank: int
  singular_values: np.ndarray
  dropped_inputs: np.ndarray
  dropped_outputs: np.ndarray


def hadamard_quotient(
  numerator: np.ndarray, denominator: np.ndarray
) -> Quotient:
  """Divides a member's kernel by another's, entry by entry.

  Args:
    numerator: W_i, [Cin, Cout] or [h, w, Cin, Cout].
    denominator: W_j, of that shape.

  Raises:
    InputError: If the shapes are others.
  """
  ours, its = factors.as_matrices([numerator, denominator]).astype(np.float64)
  squares = np.sum(its * its, axis=0)
  defined = squares > 0
  products = np.sum(ours * its, axis=0)
  matrix = np.where(defined, products / np.where(defined, squares, 1), np.nan)
  residual = factors.relative_error([ours], [its * np.nan_to_num(matrix)])
  return Quotient(matrix, np.argwhere(~defined), residual)


def numerical_rank(
  matrix: np.ndarray, tolerance: float = 1e-5
) -> NumericalRank:
  """Counts the singular values above a tolerance.

  Rows and columns are first scaled to one size, which leaves the rank as it is:
  otherwise a channel that is 1000 times larger than the others, as quotients
  have them, would hide their rank below its rounding errors.

  Args:
    matrix: [Cin, Cout]; NaN is undefined. Rows and columns that are undefined
      throughout are left out, and then rows with anything undefined left: the
      rank is that of the rest.
    tolerance: In units of the largest singular value.
  """
  undefined = np.isnan(matrix)
  outputs = ~undefined.all(axis=0)
  inputs = ~undefined[:, outputs].any(axis=1)
  scaled = equilibrate(matrix[inputs][:, outputs])[0]
  values = np.linalg.svd(scaled, compute_uv=False) if scaled.size else ()
  values = np.asarray(values) / (max(values, default=0) or 1)
  return NumericalRank(
    int(np.sum(values > tolerance)),
    values,
    np.flatnonzero(~inputs),
    np.flatnonzero(~outputs),
  )


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


def quotient_ranks(
  kernels: Sequence[np.ndarray], tolerance: float = 1e-5
) -> np.ndarray:
  """Returns the numerical ranks [E, E] of W_i / W_j for all i and j."""
  return np.array(
    [
      [
        numerical_rank(hadamard_quotient(ours, its).matrix, tolerance).rank
        for its in kernels
      ]
      for ours in kernels
    ]
  )
