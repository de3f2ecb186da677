"""A BatchEnsemble's weights of one layer, and the members' that they give.

Kernels are [Cin, Cout] of a dense layer or [h, w, Cin, Cout] of a convolution.
What perturbs a member acts on its input and output channels and is shared by a
convolution's h * w pixels: so a convolution is a stack of h * w matrices
[Cin, Cout] here, and a perturbation is one such matrix.
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
    alpha: [E, Cin], or [k, E, Cin] for a rank k above 1: as the layers have it.
    gamma: [E, Cout] or [k, E, Cout].
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
      kernels: W_i of each member.
    """
    return relative_error(kernels, self.members())

  def in_rank(self, rank: int) -> Factors:
    """Returns the same weights in the layout of a rank that is no lower.

    The terms added are 0 by their alpha alone, so that training can use them.
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
  """Returns R [E, Cin, Cout] of factors as `Factors` has them."""
  if alpha.ndim == 2:
    alpha, gamma = alpha[None], gamma[None]
  return np.matmul(np.moveaxis(alpha, 0, -1), np.moveaxis(gamma, 0, 1))


def low_rank(matrices: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns factors of matrices that are near others, or equal if they can be.

  Ten sweeps of orthogonal iteration: a matrix of the rank comes back after the
  first, and a start need not be the nearest. An SVD is many times slower.

  Args:
    matrices: [E, Cin, Cout].
    rank: k.

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

  A scale may go from alpha and gamma into the kernel, channel by channel. It is
  chosen so that each channel's factors have a mean square of 1 over members and
  ranks, as far as possible with a positive mean.

  Args:
    kernel: [..., Cin, Cout].
    alpha: [k, E, Cin].
    gamma: [k, E, Cout].
  """
  in_scale, out_scale = _scale(alpha), _scale(gamma)
  alpha, gamma = balanced(alpha), balanced(gamma)
  # Members with zeros where others have none may have a kernel without bounds.
  kernel = np.clip(kernel * in_scale[:, None] * out_scale, -1e30, 1e30)
  if len(alpha) == 1:
    alpha, gamma = alpha[0], gamma[0]
  return Factors(*(v.astype(np.float32) for v in (kernel, alpha, gamma)))


def balanced(factors: np.ndarray) -> np.ndarray:
  """Returns factors [k, E, C] without their scale, as `make_factors` does."""
  return factors / _scale(factors)


def _scale(factors):
  """Returns the scale [C] of factors [k, E, C]."""
  scale = np.sqrt(np.mean(np.square(factors), axis=(0, 1)))
  scale = np.where(np.sum(factors, axis=(0, 1)) < 0, -scale, scale)
  return np.where(scale == 0, 1.0, scale)


def as_matrices(kernels: Sequence[np.ndarray], rank: int = 1) -> np.ndarray:
  """Returns kernels of one layer as stacks of matrices [E, pixels, Cin, Cout].

  Args:
    kernels: One for each member.
    rank: The rank of the perturbations that they are to have.

  Raises:
    InputError: If the kernels differ in shape, are not those of a layer, are
      not finite, or if their matrices have no such rank.
  """
  kernels = [np.asarray(kernel) for kernel in kernels]
  shapes = sorted({kernel.shape for kernel in kernels})
  if len(shapes) != 1 or len(shapes[0]) not in (2, 4):
    raise InputError(
      'kernels',
      f'shapes {shapes}',
      'one shape, [Cin, Cout] or [h, w, Cin, Cout]',
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
  """Returns sqrt(sum ||W_i - V_i||^2 / sum ||W_i||^2) of lists W and V."""
  residual = sum(
    np.sum(np.square(w - v, dtype=np.float64))
    for w, v in zip(kernels, approximations, strict=True)
  )
  total = sum(np.sum(np.square(w, dtype=np.float64)) for w in kernels)
  return float(np.sqrt(residual / total)) if total else 0.0
