"""When the weights of an ensemble are those of a BatchEnsemble.

The question is whether there are W0 and R_1, ..., R_E of rank k at most with
W_i = W0 o R_i (section 2 of Mariet et al. 2020, "Distilling Ensembles Improves
Uncertainty Estimates"). W0 is free, so R is only known up to a factor of its
own for each pair of channels (c, o), the same for all members.

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

from collections.abc import Sequence

from uncertainty_distill.errors import InputError
from uncertainty_distill.reconstruction import factors, least_squares, quotients

import numpy as np

# Of the search; where two members have rank 2 or 3, it may need thousands.
_SWEEPS = 5000


def find_parameterization(
  kernels: Sequence[np.ndarray], rank: int = 1, tolerance: float = 1e-5
) -> factors.Factors | None:
  """Returns the BatchEnsemble whose members have these weights, if any.

  Args:
    kernels: W_1, ..., W_E of one layer, [Cin, Cout] or [h, w, Cin, Cout].
    rank: k, of the perturbations.
    tolerance: Up to which weights are the same:
      ||W0 o R_i - W_i|| <= tolerance ||W_i|| for every i.

  Returns:
    W0, alpha and gamma in the layers' layout, or None. None is a proof that
    there is none for rank 1, and for any rank where pixels stand in its way;
    see above for the rest.

  Raises:
    InputError: If the kernels differ in shape, if the rank is below 1 or above
      the matrices', or if every member's weights have zeros.
  """
  matrices = factors.as_matrices(kernels, rank)
  shape = np.shape(kernels[0])
  members = matrices.astype(np.float64)
  for index in _without_zeros(matrices)[: 1 if rank == 1 else None]:
    found = _with_reference(members, index, rank, shape)
    if _reproduces(found, kernels, tolerance):
      return found
  if rank == 1 or _pixels_differ(members, tolerance):
    return None
  found = least_squares.reconstruct(
    kernels,
    rank,
    restarts=1,
    sweeps=_SWEEPS,
    tolerance=1e-5,
    target=0.3 * tolerance,
  ).factors
  return found if _reproduces(found, kernels, tolerance) else None


def _without_zeros(matrices) -> list[int]:
  """Returns the members by which others can be divided.

  Raises:
    InputError: If there is none.
  """
  zeros = np.all(matrices == 0, axis=1)
  usable = np.flatnonzero(~zeros.any(axis=(1, 2)))
  if not len(usable):
    where = [tuple(np.argwhere(z)[0].tolist()) for z in zeros]
    raise InputError(
      'kernels',
      f'{int(zeros.sum())} zeros, the first of each member at [Cin, Cout] '
      f'{where}',
      'a member without a zero, by which to divide the others',
    )
  return usable.tolist()


def _with_reference(members, index, rank, shape) -> factors.Factors:
  """Returns W0 = W_index and the best R_i of the rank for W_i / W_index."""
  kernel = members[index].reshape(shape)
  scaled, rows, columns = map(
    np.stack,
    zip(
      *(
        quotients.equilibrate(
          quotients.hadamard_quotient(member.reshape(shape), kernel).matrix
        )
        for member in members
      )
    ),
  )
  alpha, gamma = factors.low_rank(scaled, rank)
  return factors.make_factors(kernel, alpha * rows, gamma * columns)


def _pixels_differ(members, tolerance) -> bool:
  """Tells whether no W0 and R of any rank give weights this close."""
  bound = least_squares.GramMatrices(members).pixel_error()
  return bound > tolerance


def _reproduces(found, kernels, tolerance) -> bool:
  """Tells whether each member's weights come back."""
  return all(
    factors.relative_error([kernel], [member]) <= tolerance
    for kernel, member in zip(kernels, found.members(), strict=True)
  )
