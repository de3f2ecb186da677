"""A BatchEnsemble's weights of one layer, and the members' weights they give.

Kernels are [Cin, Cout] for a dense layer or [h, w, Cin, Cout] for a
convolution. A member's perturbation acts on the input and output channels and
is the same for all h * w pixels of a convolution. So this module treats a
convolution as a stack of h * w matrices [Cin, Cout], and a perturbation as one
matrix [Cin, Cout].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from uncertainty_distill.errors import InputError

import numpy as np


@dataclasses.dataclass(frozen=True)
class Factors:
  """Weights W0 o R_i with R_i = sum_r alpha[r, i] gamma[r, i]^T.

  Attributes:
    kernel: W0, [Cin, Cout] or [h, w, Cin, Cout].
    alpha: [E, Cin], or [k, E, Cin] for a rank k above 1, as in the layers.
    gamma: [E, Cout], or [k, E, Cout] for a rank k above 1.
  """

  kernel: np.ndarray
  alpha: np.ndarray
  gamma: np.ndarray

  def perturbations(self) -> np.ndarray:
    """Returns R [E, Cin, Cout]."""
    return outer_products(self.alpha, self.gamma)

  def members(self) -> list[np.ndarray]:
    """Returns W0 o R_i of each member."""
    return [self.kernel * r for r in self.perturbations()]

  def error(self, kernels: Sequence[np.ndarray]) -> float:
    """Returns sqrt(sum_i ||W0 o R_i - W_i||^2 / sum_i ||W_i||^2).

    Args:
      kernels: The members' kernels W_i.
    """
    return relative_error(kernels, self.members())

  def in_rank(self, rank: int) -> Factors:
    """Returns the same weights in the layout of an equal or higher rank.

    The added terms are 0 only because their alpha is 0, so training can still
    use them.
    """
    if rank == 1:
      return self
    alpha, gamma = (
      v if v.ndim == 3 else v[None] for v in (self.alpha, self.gamma)
    )
    more = rank - len(alpha)
    return Factors(
      self.kernel,
      np.concatenate([alpha, np.zeros_like(alpha[:1]).repeat(more, 0)]),
      np.concatenate([gamma, np.ones_like(gamma[:1]).repeat(more, 0)]),
    )


def outer_products(alpha: np.ndarray, gamma: np.ndarray) -> np.ndarray:
  """Returns R [E, Cin, Cout] for alpha and gamma as in `Factors`."""
  if alpha.ndim == 2:
    alpha, gamma = alpha[None], gamma[None]
  return np.matmul(np.moveaxis(alpha, 0, -1), np.moveaxis(gamma, 0, 1))


def low_rank(matrices: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns factors whose products are near the given matrices.

  It runs ten sweeps of orthogonal iteration. A matrix of the rank is reproduced
  after the first sweep. As a start, the factors need not be the nearest ones.
  An SVD is many times slower.

  Args:
    matrices: The matrices [E, Cin, Cout].
    rank: k, the rank of each product.

  Returns:
    alpha [k, E, Cin] and gamma [k, E, Cout].
  """
  members, _, outputs = matrices.shape
  right = np.random.default_rng(0).normal(size=(members, outputs, rank))
  for _ in range(10):
    left = np.linalg.qr(matrices @ right)[0]
    right = matrices.transpose(0, 2, 1) @ left
  return np.moveaxis(left, -1, 0), np.moveaxis(right, -1, 0)


def make_factors(
  kernel: np.ndarray, alpha: np.ndarray, gamma: np.ndarray
) -> Factors:
  """Returns float32 weights whose scale is in the kernel.

  Each channel's scale can move from alpha and gamma into the kernel without
  changing the members. The scale is chosen so that each channel's factors have
  a mean square of 1 over members and ranks, and a mean that is not negative.

  Args:
    kernel: [..., Cin, Cout].
    alpha: [k, E, Cin].
    gamma: [k, E, Cout].
  """
  in_scale, out_scale = _scale(alpha), _scale(gamma)
  alpha, gamma = balanced(alpha), balanced(gamma)
  # The kernel may be unbounded if some members have zeros where others do not.
  kernel = np.clip(kernel * in_scale[:, None] * out_scale, -1e30, 1e30)
  if len(alpha) == 1:
    alpha, gamma = alpha[0], gamma[0]
  return Factors(*(v.astype(np.float32) for v in (kernel, alpha, gamma)))


def balanced(factors: np.ndarray) -> np.ndarray:
  """Returns factors [k, E, C] without their scale, as in `make_factors`."""
  return factors / _scale(factors)


def _scale(factors):
  """Returns the scale [C] of factors [k, E, C]."""
  scale = np.sqrt(np.mean(np.square(factors), axis=(0, 1)))
  scale = np.where(np.sum(factors, axis=(0, 1)) < 0, -scale, scale)
  return np.where(scale == 0, 1.0, scale)


def as_matrices(kernels: Sequence[np.ndarray], rank: int = 1) -> np.ndarray:
  """Returns kernels of one layer as stacks of matrices [E, pixels, Cin, Cout].

  Args:
    kernels: One kernel for each member.
    rank: The rank of the perturbations.

  Raises:
    InputError: If the kernels differ in shape, are not [Cin, Cout],
      [w, Cin, Cout] or [h, w, Cin, Cout], or are not finite, or if the rank is
      below 1 or above the highest rank of the matrices.
  """
  kernels = [np.asarray(kernel) for kernel in kernels]
  shapes = sorted({kernel.shape for kernel in kernels})
  if len(shapes) != 1 or len(shapes[0]) not in (2, 3, 4):
    raise InputError(
      'kernels',
      f'shapes {shapes}',
      'one shape, [Cin, Cout], [w, Cin, Cout] or [h, w, Cin, Cout]',
    )
  channels = shapes[0][-2:]
  if not 1 <= rank <= min(channels):
    raise InputError(
      'rank',
      rank,
      f'from 1 to {min(channels)}, the highest rank of a matrix '
      f'{list(channels)}',
    )
  matrices = np.stack(kernels).reshape(len(kernels), -1, *channels)
  if not np.isfinite(matrices).all():
    raise InputError('kernels', 'a non-finite value', 'finite')
  return matrices


def relative_error(
  kernels: Sequence[np.ndarray], approximations: Sequence[np.ndarray]
) -> float:
  """Returns sqrt(sum ||W_i - V_i||^2 / sum ||W_i||^2) for lists W and V."""
  residual = sum(
    np.sum(np.square(w - v, dtype=np.float64))
    for w, v in zip(kernels, approximations, strict=True)
  )
  total = sum(np.sum(np.square(w, dtype=np.float64)) for w in kernels)
  return float(np.sqrt(residual / total)) if total else 0.0
