"""Finds the BatchEnsemble nearest to an ensemble by alternating least squares.

The problem is min over W0 and R_i of sum_i ||W0 o R_i - W_i||^2 with each R_i
of rank at most k (footnote 1 of Mariet et al. 2020, "Distilling Ensembles
Improves Uncertainty Estimates").

Each of W0, alpha and gamma has a closed form given the other two. The pixels of
a convolution matter only through the products of the members' weights, summed
over the pixels. Let r be the vector of R_i[c, o] over the members i, and
G[c, o] the E x E Gram matrix of the members' weights over the pixels. The best
W0[c, o] is sum_i r_i W_i[c, o] / |r|^2, and

  sum over pixels of W0^2 = r^T G r / |r|^4,
  sum over pixels of W0 W_i = (G r)_i / |r|^2,
  min over W0 of the squared error = trace(G) - r^T G r / |r|^2.

So a sweep needs only G, and not the weights. For R of any rank,
r^T G r / |r|^2 is at most the largest eigenvalue of G, which it reaches at the
eigenvector. The sweeps start from this eigenvector.

If r is nearly 0, the best W0 is huge, and training cannot start from it. So
c ||W0||^2 can be added to the minimized error, while alpha and gamma have a
mean square of 1. This replaces each divisor |r|^2 by |r|^2 + c and costs the
fit little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uncertainty_distill.reconstruction import factors as factors_lib

import numpy as np


class GramMatrices:
  """G[c, o], the products of the members' weights, summed over pixels."""

  def __init__(self, members: np.ndarray):
    """Sums the products in float64, whatever the type of the weights.

    Args:
      members: The members' weights [E, pixels, Cin, Cout].
    """
    size = len(members)
    self.values: np.ndarray = np.empty((size, size, *members.shape[2:]))
    for i in range(size):
      for j in range(i + 1):
        self.values[i, j] = self.values[j, i] = np.einsum(
          'pco,pco->co', members[i], members[j], dtype=np.float64
        )
    self.total: float = float(sum(self.values[i, i].sum() for i in range(size)))

  def top(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns the top eigenvalues [Cin, Cout] and vectors [E, Cin, Cout]."""
    values, vectors = np.linalg.eigh(np.moveaxis(self.values, (0, 1), (2, 3)))
    return values[..., -1], np.moveaxis(vectors[..., -1], -1, 0)

  def pixel_error(self) -> float:
    """Returns the least relative error of any R, whatever its rank.

    The error remains because members differ from pixel to pixel. It is 0 for
    dense layers and 1 x 1 convolutions.
    """
    explained = self.top()[0].sum() / self.total if self.total else 1.0
    return float(np.sqrt(max(1 - explained, 0.0)))

  def kernel_step(
    self,
    alpha: np.ndarray,
    gamma: np.ndarray,
    ridge: float | np.ndarray = 0.0,
  ) -> tuple[np.ndarray, np.ndarray, float]:
    """Computes what the sweeps need of the best W0 for the given R.

    Returns:
      (The sum over pixels of W0^2 [Cin, Cout], the sum over pixels of W0 W_i
      [E, Cin, Cout], the squared relative error including the ridge's term).
    """
    r = factors_lib.outer_products(alpha, gamma)
    length = np.einsum('eco,eco->co', r, r) + ridge
    length[length == 0] = 1  # Where R is 0, W0 does not matter, and becomes 0.
    products = np.zeros_like(r)
    for i, row in enumerate(self.values):
      for g, column in zip(row, r):
        products[i] += g * column
    products /= length
    explained = np.einsum('eco,eco->co', r, products)
    error = 1 - explained.sum() / self.total if self.total else 0.0
    return explained / length, products, float(error)


def reconstruct(
  kernels: Sequence[np.ndarray],
  rank: int = 1,
  *,
  restarts: int = 3,
  sweeps: int = 100,
  tolerance: float = 1e-4,
  target: float = 0.0,
  ridge: float = 0.0,
  seed: int = 0,
) -> factors_lib.Factors:
  """Returns the BatchEnsemble nearest to an ensemble's weights of one layer.

  Args:
    kernels: W_1, ..., W_E, [Cin, Cout] or [h, w, Cin, Cout].
    rank: k, the rank of the perturbations.
    restarts: The number of starts, at least 1. The best result is kept. The
      first start gives all members' R the same sign where possible. The second
      makes the first member's R positive, so that quotients by this member keep
      their signs. The other starts use random signs.
    sweeps: The most sweeps from each start.
    tolerance: The relative decrease of the squared error in a sweep below which
      the sweeps stop.
    target: The relative error at which the sweeps stop.
    ridge: The strength of a penalty that keeps W0 small, so that training can
      start from it. The best start is repeated with ridge e^2 ||W0||^2 added to
      the minimized error, where e is the relative error found without the
      penalty. So exact BatchEnsembles stay as they are.
    seed: The seed of the random signs.

  Returns:
    The weights of the nearest BatchEnsemble found. A nearer one may exist.

  Raises:
    InputError: If the kernels differ in shape or are not finite, or if the rank
      is below 1 or above the highest rank of the matrices.
  """
  members = factors_lib.as_matrices(kernels, rank)
  gram = GramMatrices(members)
  starts = [
    factors_lib.low_rank(toward, rank)
    for toward in _signed(gram.top()[1], restarts, seed)
  ]
  runs = [_descend(gram, *s, sweeps, tolerance, target**2) for s in starts]
  best = min(range(restarts), key=lambda index: runs[index][2])
  alpha, gamma, error = runs[best]
  ridge *= error
  if ridge:
    alpha, gamma, _ = _descend(
      gram, *starts[best], sweeps, tolerance, target**2, ridge
    )
  return _with_kernel(members, alpha, gamma, np.shape(kernels[0]), ridge)


def _signed(
  vectors: np.ndarray, restarts: int, seed: int
) -> Iterator[np.ndarray]:
  """Yields the vectors for each start, with the signs of that start."""
  generator = np.random.default_rng(seed)
  for index in range(restarts):
    signs = vectors[0] if index == 1 else vectors.sum(axis=0)
    if index > 1:
      signs = np.einsum(
        'eco,eco->co',
        vectors,
        factors_lib.outer_products(
          *(generator.normal(size=(len(vectors), n)) for n in signs.shape)
        ),
      )
    yield np.where(signs < 0, -vectors, vectors)


def _descend(gram, alpha, gamma, sweeps, tolerance, target, ridge=0.0):
  """Sweeps from a start; returns alpha, gamma and the squared error.

  Each sweep also tries a further step in its own direction, and takes the step
  if it lowers the error. The closed forms alone creep along narrow valleys.
  """
  # The ridge depends on how W0 and R share the scale. The error does not.
  scaled = factors_lib.balanced if ridge else lambda v: v
  alpha, gamma = scaled(alpha), scaled(gamma)
  squares, products, error = gram.kernel_step(alpha, gamma, ridge)
  reach = 1.0
  for _ in range(sweeps):
    before, last = (alpha, gamma), error
    alpha = scaled(_solve(squares, products, gamma))
    squares, products, _ = gram.kernel_step(alpha, gamma, ridge)
    gamma = scaled(_solve(squares.T, products.transpose(0, 2, 1), alpha))
    squares, products, error = gram.kernel_step(alpha, gamma, ridge)
    beyond = [
      scaled(x + reach * (x - y)) for x, y in zip((alpha, gamma), before)
    ]
    trial = gram.kernel_step(*beyond, ridge)
    if trial[2] < error:
      (alpha, gamma), (squares, products, error) = beyond, trial
      reach *= 1.5
    else:
      reach = max(reach / 2, 0.5)
    if error >= last:
      # Rounding, a ridge or scaling undid the gain of the steps.
      return *before, last
    error = max(error, 0.0)
    if last - error <= tolerance * error or error <= target:
      break
  return alpha, gamma, error


def _solve(squares, products, factors):
  """Returns the best alpha [k, E, Cin] given gamma [k, E, Cout], or reversed.

  For each member i and input channel c, it minimizes over a in R^k
  sum_o squares[c, o] (g^T a)^2 - 2 products[i, c, o] g^T a
  with g = gamma_i[:, o].

  Args:
    squares: The sum over pixels of W0^2 [Cin, Cout], or transposed to solve for
      gamma.
    products: The sum over pixels of W0 W_i [E, Cin, Cout], or transposed to
      solve for gamma.
    factors: gamma, or alpha to solve for gamma.
  """
  rank = len(factors)
  pairs = np.einsum('keo,leo->okle', factors, factors)
  normal = (squares @ pairs.reshape(len(pairs), -1)).reshape(
    -1, *pairs.shape[1:]
  )
  normal = np.moveaxis(normal, (0, 3), (1, 0))  # [E, Cin, k, k].
  wanted = np.matmul(products, np.moveaxis(factors, 0, -1))  # [E, Cin, k].
  # Makes the system solvable if a channel is dead or ranks coincide, and hardly
  # changes the answer.
  ridge = 1e-13 * np.trace(normal, axis1=2, axis2=3)[..., None, None] + 1e-300
  solved = np.linalg.solve(normal + ridge * np.eye(rank), wanted[..., None])
  return np.moveaxis(solved[..., 0], -1, 0)


def _with_kernel(members, alpha, gamma, shape, ridge):
  """Returns the weights with the best W0 for the given alpha and gamma."""
  r = factors_lib.outer_products(alpha, gamma)
  length = np.einsum('eco,eco->co', r, r) + ridge
  r /= np.where(length == 0, 1, length)
  kernel = np.zeros(members.shape[1:])
  for member, weight in zip(members, r):
    kernel += member * weight
  return factors_lib.make_factors(kernel.reshape(shape), alpha, gamma)
