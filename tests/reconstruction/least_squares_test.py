"""Tests of the alternating least squares against plain formulas."""

from uncertainty_distill import losses, reconstruction
from uncertainty_distill.reconstruction import least_squares

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from refusals import refused

_SHAPES = [(3, 3, 6, 9), (24, 15)]


def _random(shape, members=3, seed=0):
  values = np.random.default_rng(seed).normal(size=(members, *shape))
  return list(values.astype(np.float32))


def _squared_error(kernels, factors):
  alpha, gamma = factors.alpha, factors.gamma
  if alpha.ndim == 2:
    alpha, gamma = alpha[None], gamma[None]
  residual = sum(
    np.sum(
      (
        kernel
        - factors.kernel
        * sum(np.outer(a[i], g[i]) for a, g in zip(alpha, gamma))
      )
      ** 2
    )
    for i, kernel in enumerate(kernels)
  )
  return residual / sum(np.sum(kernel**2) for kernel in kernels)


@pytest.mark.parametrize('shape', _SHAPES)
@pytest.mark.parametrize('rank', [1, 2])
def test_errors_are_those_of_the_definition(shape, rank):
  kernels = _random(shape)
  found = reconstruction.reconstruct(kernels, rank)
  squared = _squared_error(kernels, found)
  assert found.error(kernels) == pytest.approx(np.sqrt(squared), rel=1e-5)
  # The best of three starts is no worse than the first.
  first = reconstruction.reconstruct(kernels, rank, restarts=1)
  assert found.error(kernels) <= first.error(kernels)
  # The error is below that of the members' mean.
  mean = np.mean(kernels, axis=0)
  of_mean = sum(np.sum((k - mean) ** 2) for k in kernels)
  assert squared < of_mean / sum(np.sum(k**2) for k in kernels)
  # More sweeps change little.
  more = reconstruction.reconstruct(kernels, rank, sweeps=1000)
  assert more.error(kernels) == pytest.approx(found.error(kernels), rel=1e-2)


@pytest.mark.parametrize('shape', _SHAPES)
@pytest.mark.parametrize('rank', [1, 2])
def test_each_closed_form_is_the_minimum(shape, rank):
  """Compares one variable at a time with NumPy's or SciPy's least squares."""
  kernels = _random(shape)
  generator = np.random.default_rng(1)
  alpha = generator.normal(1, 0.5, (rank, 3, shape[-2]))
  gamma = generator.normal(1, 0.5, (rank, 3, shape[-1]))
  stacks = np.stack(kernels).reshape(3, -1, *shape[-2:]).astype(np.float64)
  gram = least_squares.GramMatrices(stacks)
  squares, products, error = gram.kernel_step(alpha, gamma)

  r = np.einsum('kec,keo->eco', alpha, gamma)
  kernel = np.empty(stacks.shape[1:])
  for place in np.ndindex(kernel.shape):
    pixel, c, o = place
    kernel[place] = np.linalg.lstsq(
      r[:, c, o, None], stacks[:, pixel, c, o], rcond=None
    )[0][0]
  residual = np.sum((stacks - kernel * r[:, None]) ** 2)
  assert error == pytest.approx(residual / np.sum(stacks**2))

  solved = least_squares._solve(squares, products, gamma)
  for i in range(3):
    for c in range(shape[-2]):
      design = np.einsum('po,ko->pok', kernel[:, c], gamma[:, i])
      want = scipy.optimize.lsq_linear(
        design.reshape(-1, rank), stacks[i, :, c].ravel()
      ).x
      np.testing.assert_allclose(solved[:, i, c], want, rtol=1e-4, atol=1e-6)


def _pixel_error(kernels):
  matrices = np.reshape(kernels, [len(kernels), -1, *kernels[0].shape[-2:]])
  return least_squares.GramMatrices(matrices).pixel_error()


def test_pixels_bound_the_error_of_any_rank():
  kernels = _random((3, 3, 4, 4))
  bound = _pixel_error(kernels)
  # With R of full rank, only the differences between pixels remain.
  full = reconstruction.reconstruct(kernels, 4, sweeps=2000, tolerance=0.0)
  assert bound < full.error(kernels) < 1.001 * bound
  assert _pixel_error(_random((1, 1, 4, 4))) < 1e-6


def test_more_rank_gives_less_error():
  kernels = _random((3, 3, 12, 16))
  errors = [
    reconstruction.reconstruct(kernels, rank).error(kernels)
    for rank in (1, 2, 4)
  ]
  assert errors == sorted(errors, reverse=True)
  assert errors[0] - errors[2] > 0.01


def test_the_tie_pulls_nowhere_at_the_optimum():
  kernels = _random((3, 3, 6, 9))
  found = reconstruction.reconstruct(
    kernels, restarts=1, sweeps=500, tolerance=1e-9
  )
  factors = found
  constants = [tf.constant(kernel) for kernel in kernels]

  def pull(scale):
    """Returns the tie, and its largest slope by a weight's relative size."""
    weights = [
      tf.Variable(scale * w)
      for w in (factors.kernel, factors.alpha, factors.gamma)
    ]
    with tf.GradientTape() as tape:
      distance = losses.weight_tie([(*weights, constants)])
    gradients = tape.gradient(distance, weights)
    return distance, max(
      np.abs(w * g).max() for w, g in zip(weights, gradients)
    )

  total = sum(np.sum(kernel**2) for kernel in kernels)
  distance, rest = pull(1.0)
  np.testing.assert_allclose(
    distance / total, found.error(kernels) ** 2, rtol=1e-5
  )
  assert rest < 1e-2 * pull(1.1)[1]


def test_one_seed_gives_one_result():
  kernels = _random((3, 3, 6, 9))
  first, again = (reconstruction.reconstruct(kernels, seed=1) for _ in range(2))
  np.testing.assert_array_equal(first.kernel, again.kernel)


def test_dead_channels_and_dead_members():
  kernels = _random((3, 3, 5, 6))
  for kernel in kernels:
    kernel[:, :, 2] = 0
    kernel[..., 4] = 0
  kernels[1][:] = 0
  found = reconstruction.reconstruct(kernels, 2)
  assert np.isfinite(found.error(kernels)) and found.error(kernels) < 1
  for member in found.members():
    assert np.isfinite(member).all()
    assert not member[:, :, 2].any() and not member[..., 4].any()
  zeros = [np.zeros((4, 5))] * 2
  assert reconstruction.reconstruct(zeros).error(zeros) == 0


def test_factors_are_balanced():
  found = reconstruction.reconstruct(_random((3, 3, 6, 9)))
  for vectors in found.alpha, found.gamma:
    np.testing.assert_allclose(np.mean(vectors**2, axis=0), 1, rtol=1e-5)
    assert (vectors.mean(axis=0) >= 0).all()


def test_refuses_what_is_not_finite():
  kernels = _random((4, 5))
  kernels[0][1, 1] = np.nan
  with refused('kernels', expected='finite'):
    reconstruction.reconstruct(kernels)


@pytest.mark.parametrize('rank', [1, 2])
def test_a_ridge_keeps_the_kernel_small_and_the_fit(rank):
  kernels = _random((24, 15), members=4)
  free, kept = (
    reconstruction.reconstruct(kernels, rank, ridge=ridge)
    for ridge in (0.0, 0.1)
  )
  largest = [np.abs(found.kernel).max() for found in (free, kept)]
  assert largest[1] < 5 * np.abs(kernels).max() < largest[0]
  assert free.error(kernels) < kept.error(kernels) < free.error(kernels) + 0.02
  # Each entry of W0 minimizes its squared error + ridge e^2 W0^2.
  r = kept.perturbations()[:, 3, 4]
  weights = [kernel[3, 4] for kernel in kernels]
  length = 0.1 * free.error(kernels) ** 2
  want = np.dot(r, weights) / (np.dot(r, r) + length)
  assert kept.kernel[3, 4] == pytest.approx(want, rel=1e-4)

  # Alpha is near a minimum: random changes to it make the result worse.
  def penalized(alpha):
    factors = reconstruction.Factors(kept.kernel, alpha, kept.gamma)
    return _squared_error(kernels, factors) + length * np.sum(
      kept.kernel**2
    ) / np.sum(np.square(kernels))

  least = penalized(kept.alpha)
  generator = np.random.default_rng(0)
  for _ in range(20):
    aside = generator.normal(0, 0.05, kept.alpha.shape)
    assert penalized(kept.alpha + aside) > least


def test_a_ridge_leaves_a_batch_ensemble_as_it_is():
  kernel, alpha, gamma = (
    _random((3, 3, 6, 9), members=1)[0],
    *(_random((n,), members=3, seed=n) for n in (6, 9)),
  )
  kernels = [kernel * np.outer(a, g) for a, g in zip(alpha, gamma)]
  found = reconstruction.reconstruct(kernels, tolerance=1e-9, ridge=0.1)
  assert found.error(kernels) < 1e-4


@pytest.mark.parametrize('rank, own', [(1, 1), (2, 1), (4, 1), (4, 3)])
def test_factors_in_the_layout_of_a_higher_rank(rank, own):
  found = reconstruction.reconstruct(_random((3, 3, 6, 9)), own)
  laid_out = found.in_rank(rank)
  leading = (rank,) if rank > 1 else ()
  assert laid_out.alpha.shape == (*leading, 3, 6)
  assert laid_out.gamma.shape == (*leading, 3, 9)
  np.testing.assert_allclose(laid_out.members(), found.members(), rtol=1e-6)
  # The added terms can be trained, because their gamma is not 0.
  assert laid_out.gamma.any(axis=(-1, -2)).all()


def test_steps_that_rounding_makes_worse_end_the_descent():
  kernels = [
    np.float32([[1, 1, 1, -1], [1, 1, -1, 1], [1, 1, 1, 1]]),
    np.float32([[-1, -1, -1, 1], [1, -1, -1, -1], [1, -1, 1, 1]]),
  ]
  found = reconstruction.reconstruct(kernels, rank=2)
  assert found.error(kernels) < 0.01


def test_a_kernel_without_bounds_is_finite():
  # Each member has zeros where others have none.
  random = np.random.default_rng(287)
  members, inputs = int(random.integers(2, 5)), int(random.integers(2, 7))
  outputs, least = int(random.integers(2, 9)), random.choice([0.7, 1.04, 1.3])
  kernels = random.normal(size=(members, inputs, outputs))
  kernels = [(k * (abs(k) > least)).astype(np.float32) for k in kernels]
  found = reconstruction.reconstruct(kernels, rank=1)
  assert np.isfinite(found.kernel).all()
  assert found.error(kernels) == pytest.approx(0.38, abs=0.01)
