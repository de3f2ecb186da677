"""Tests of quotients, their ranks, and what the theorem recognizes."""

from uncertainty_distill import layers, reconstruction

import numpy as np
import pytest
import tf_keras
from refusals import refused

Verdict = reconstruction.Verdict

_SHAPES = [(3, 3, 8, 12), (1, 1, 16, 9), (20, 10)]


def _random(shape, members=4, seed=0):
  values = np.random.default_rng(seed).normal(size=(members, *shape))
  return list(values.astype(np.float32))


def _batch_ensemble(shape, rank, members=4, seed=0):
  """Returns the members of a BatchEnsemble, computed from its definition."""
  generator = np.random.default_rng(seed)
  kernel = generator.normal(size=shape)
  alpha = generator.normal(1, 0.5, (rank, members, shape[-2]))
  gamma = generator.normal(1, 0.5, (rank, members, shape[-1]))
  return [
    (
      kernel * sum(np.outer(alpha[r, i], gamma[r, i]) for r in range(rank))
    ).astype(np.float32)
    for i in range(members)
  ]


def _error(actual, expected):
  return max(
    np.linalg.norm(v - w) / np.linalg.norm(w) for v, w in zip(actual, expected)
  )


def _found(kernels, rank=1):
  """Returns the weights of the BatchEnsemble, which must exist."""
  verdict, found = reconstruction.find_parameterization(kernels, rank)
  assert verdict == Verdict.EXISTS
  return found


def _verdict(kernels, rank=1):
  """Returns why no BatchEnsemble was found."""
  verdict, found = reconstruction.find_parameterization(kernels, rank)
  assert found is None
  return verdict


def test_quotient_by_hand():
  w_i = np.array([[2.0, 6.0], [0.0, 5.0]])
  w_j = np.array([[1.0, -2.0], [4.0, 0.0]])
  quotient = reconstruction.hadamard_quotient(w_i, w_j)
  np.testing.assert_array_equal(quotient, [[2, -3], [0, np.nan]])


def test_quotient_of_a_convolution_is_shared_by_its_pixels():
  member = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
  factors = np.arange(1.0, 9.0).reshape(2, 4)
  quotient = reconstruction.hadamard_quotient(member * factors, member)
  np.testing.assert_allclose(quotient, factors, rtol=1e-6)
  # If the pixels differ, the quotient is the least-squares fit.
  turned = reconstruction.hadamard_quotient(member[::-1], member)
  want = np.sum(member[::-1] * member, (0, 1)) / np.sum(member**2, (0, 1))
  np.testing.assert_allclose(turned, want, rtol=1e-6)


def test_rank_is_not_hidden_by_scales():
  generator = np.random.default_rng(0)
  matrix = generator.normal(size=(6, 2)) @ generator.normal(size=(2, 8))
  scaled = matrix * np.array([1, 1, 1e7, 1, 1, 1])[:, None]
  assert np.linalg.matrix_rank(scaled, 1e-5 * np.linalg.norm(scaled)) == 1
  assert reconstruction.numerical_rank(scaled) == 2
  noisy = matrix + 1e-3 * generator.normal(size=matrix.shape)
  assert reconstruction.numerical_rank(noisy) == 6
  assert reconstruction.numerical_rank(noisy, tolerance=1e-2) == 2


def test_rank_leaves_out_what_is_undefined():
  matrix = np.outer(np.arange(1.0, 6.0), np.arange(1.0, 5.0))
  matrix[:, 2] = np.nan
  matrix[3, 0] = np.nan
  matrix[1, 1] = 7.0
  assert reconstruction.numerical_rank(matrix) == 2
  assert reconstruction.numerical_rank(np.delete(matrix, 1, 0)) == 1
  assert reconstruction.numerical_rank(np.full([3, 3], np.nan)) == 0
  assert reconstruction.numerical_rank(np.zeros([3, 3])) == 0


@pytest.mark.parametrize('shape', _SHAPES)
def test_quotients_of_a_batch_ensemble_have_rank_one(shape):
  ranks = reconstruction.quotient_ranks(_batch_ensemble(shape, 1))
  np.testing.assert_array_equal(ranks, np.ones([4, 4]))
  others = reconstruction.quotient_ranks(_random(shape))
  assert others[~np.eye(4, dtype=bool)].min() == min(shape[-2:])


def test_rank_of_a_hadamard_product():
  generator = np.random.default_rng(0)
  for first in 1, 2, 3:
    for second in 1, 2, 4:
      a, b = (
        generator.normal(size=(30, r)) @ generator.normal(size=(r, 25))
        for r in (first, second)
      )
      rank = reconstruction.numerical_rank(a * b)
      # rank(A o B) <= rank(A) rank(B), with equality for random matrices.
      assert rank == np.linalg.matrix_rank(a * b) == first * second


@pytest.mark.parametrize(
  'shape, rank, members',
  [
    *((shape, rank, 4) for shape in _SHAPES for rank in (1, 2, 3)),
    ((3, 3, 8, 12), 1, 2),
    ((3, 3, 16, 24), 2, 2),
  ],
)
def test_a_batch_ensemble_is_recognized(shape, rank, members):
  kernels = _batch_ensemble(shape, rank, members)
  found = _found(kernels, rank)
  lead = () if rank == 1 else (rank,)
  assert found.alpha.shape == (*lead, members, shape[-2])
  assert found.gamma.shape == (*lead, members, shape[-1])
  assert _error(found.members(), kernels) < 1e-5


def test_rank_one_is_recognized_to_rounding():
  kernels = _batch_ensemble((3, 3, 64, 32), 1)
  found = _found(kernels)
  assert _error(found.members(), kernels) < 3e-7


@pytest.mark.parametrize('rank', [1, 2])
def test_the_layers_compute_what_is_found(rank):
  shape = (3, 3, 4, 6)
  kernels = _batch_ensemble(shape, rank, 3)
  found = _found(kernels, rank)
  layer = layers.Conv2DBatchEnsemble(
    6, 3, padding='same', use_bias=False, ensemble_size=3, rank=rank
  )
  images = np.random.default_rng(1).normal(size=(2, 5, 5, 4)).astype('float32')
  layer.build([None, 5, 5, 4])
  layer.set_weights([found.kernel, found.alpha, found.gamma])
  actual = layer(np.tile(images, [3, 1, 1, 1])).numpy().reshape(3, 2, 5, 5, 6)
  for member, kernel in zip(actual, kernels):
    plain = tf_keras.layers.Conv2D(6, 3, padding='same', use_bias=False)
    plain.build([None, 5, 5, 4])
    plain.set_weights([kernel])
    np.testing.assert_allclose(member, plain(images), atol=2e-4)


@pytest.mark.parametrize('rank', [1, 2])
@pytest.mark.parametrize('shape', _SHAPES)
def test_random_weights_are_none(shape, rank):
  want = Verdict.QUOTIENTS_DIFFER if rank == 1 else Verdict.UNDECIDED
  if shape[:2] == (3, 3):
    want = Verdict.PIXELS_DIFFER
  assert _verdict(_random(shape), rank) == want


def test_a_rank_too_low():
  kernels = _batch_ensemble((3, 3, 8, 12), 2)
  assert _verdict(kernels, 1) == Verdict.QUOTIENTS_DIFFER
  # If the pixels of a convolution differ, no rank is high enough.
  kernels[1] = kernels[1][::-1]
  assert _verdict(kernels, 8) == Verdict.PIXELS_DIFFER


def test_zeros():
  kernels = _batch_ensemble((5, 6), 1)
  kernels[0][2, 3] = 0
  # Another member can be the divisor, but this is not a BatchEnsemble anymore.
  assert _verdict(kernels) == Verdict.QUOTIENTS_DIFFER
  # If all members have zeros, none can be the divisor: the theorem decides
  # nothing.
  for kernel in kernels:
    kernel[:, 4] = 0
  assert _verdict(kernels) == Verdict.UNDECIDED
  kernels = _batch_ensemble((5, 6), 1)
  for kernel in kernels:
    kernel[:, 4] = 0
  found = _found(kernels)
  assert _error(found.members(), kernels) < 1e-5


def test_a_member_may_have_dead_channels():
  kernels = _batch_ensemble((3, 3, 5, 6), 1)
  kernels[0][:, :, 2] = 0
  found = _found(kernels)
  assert _error(found.members(), kernels) < 1e-5


@pytest.mark.parametrize(
  'shapes, rank, name, expected',
  [
    ([(4, 5), (5, 4)], 1, 'kernels', 'one shape'),
    ([(4,), (4,)], 1, 'kernels', 'one shape'),
    ([(4, 5)] * 2, 0, 'rank', 'from 1 to 4'),
    ([(3, 3, 4, 5)] * 2, 5, 'rank', 'from 1 to 4'),
  ],
)
def test_refuses(shapes, rank, name, expected):
  kernels = [np.ones(shape) for shape in shapes]
  for call in reconstruction.find_parameterization, reconstruction.reconstruct:
    with refused(name, expected=expected):
      call(kernels, rank)
