"""Tests of the comparison of networks with BatchEnsembles, layer by layer."""

from uncertainty_distill import reconstruction

import numpy as np
import pytest
import tf_keras
from refusals import refused

Verdict = reconstruction.Verdict


def _networks(kernels):
  """Returns a network for each member, with one convolution for each kernel."""
  members = []
  for of_member in kernels:
    layers = []
    for kernel in of_member:
      layer = tf_keras.layers.Conv2D(
        kernel.shape[-1], kernel.shape[0], use_bias=False
      )
      layers.append(layer)
    images = tf_keras.Input([8, 8, of_member[0].shape[-2]])
    x = images
    for layer in layers:
      x = layer(x)
    model = tf_keras.Model(images, x)
    model.set_weights(of_member)
    members.append(model)
  return members


def _random(*shape, seed=0):
  values = np.random.default_rng(seed).normal(size=shape)
  return values.astype(np.float32)


def test_says_what_is_a_batch_ensemble_and_what_is_not():
  alpha, gamma = _random(3, 4), _random(3, 6, seed=1)
  kernel = _random(3, 3, 4, 6, seed=2)
  exact = [kernel * np.outer(a, g) for a, g in zip(alpha, gamma)]
  pointwise = _random(3, 1, 1, 6, 5, seed=3)
  torn = _random(3, 3, 3, 5, 2, seed=4)
  steps = []
  first, second, third = reconstruction.compare_layers(
    _networks(zip(exact, pointwise, torn)),
    [1, 3],
    after_layer=lambda: steps.append(1),
  )
  assert len(steps) == 3
  assert first.shape == (3, 3, 4, 6) and first.full_rank == 4
  assert first.quotient_ranks == (1, 1)
  assert first.errors[1] < 1e-3 and first.pixel_error < 1e-6
  assert first.verdicts == {1: Verdict.EXISTS, 3: Verdict.EXISTS}
  # Theorem 1 rules out rank 1. For rank 3, the search finds nothing.
  assert second.quotient_ranks == (5, 5)
  assert second.verdicts == {1: Verdict.QUOTIENTS_DIFFER, 3: Verdict.UNDECIDED}
  assert 0.01 < second.errors[3] < second.errors[1] < 0.8
  assert second.pixel_error == pytest.approx(0, abs=1e-6)
  # Pixels that differ rule out any rank. Two outputs allow at most rank 2.
  assert third.full_rank == 2
  assert third.verdicts == dict.fromkeys([1, 3], Verdict.PIXELS_DIFFER)
  assert 0.3 < third.pixel_error < third.errors[1]
  assert third.errors[3] > third.pixel_error - 1e-6
  nearest = reconstruction.reconstruct(list(torn), 2)
  assert third.errors[3] == nearest.error(list(torn))


def test_joint_error_weighs_layers_by_their_weights():
  kernels = [_random(2, 1, 1, 4, 6), 10 * _random(2, 1, 1, 6, 3, seed=1)]
  layers = reconstruction.compare_layers(_networks(zip(*kernels)), [1])
  errors = [layer.errors[1] for layer in layers]
  squares = [np.sum(np.square(k, dtype=np.float64)) for k in kernels]
  want = np.sqrt(np.dot(np.square(errors), squares) / sum(squares))
  assert reconstruction.joint_error(layers, errors) == pytest.approx(want)
  assert errors[0] != pytest.approx(want, rel=1e-3)


def test_a_matrix_is_a_batch_ensemble_of_the_rank_of_its_quotients():
  (layer,) = reconstruction.compare_layers(
    _networks(zip(_random(3, 1, 1, 6, 5))), [5]
  )
  assert layer.verdicts == {5: Verdict.EXISTS} and layer.errors[5] < 1e-5


def test_quotients_by_zero_are_counted():
  kernels = np.outer([1.0, 2.0], np.ones(12)).reshape(2, 1, 1, 3, 4)
  kernels[1, 0, 0, 1, 2] = 0
  (layer,) = reconstruction.compare_layers(
    _networks([[k.astype(np.float32)] for k in kernels]), [1]
  )
  assert layer.undefined == 1
  # The other member can be the divisor.
  assert layer.verdicts == {1: Verdict.QUOTIENTS_DIFFER}


@pytest.mark.parametrize('rank', [0, 5])
def test_refuses_ranks_that_no_matrix_has(rank):
  members = _networks([[_random(1, 1, 4, 6)]] * 2)
  with refused('rank', rank, '1 to 4'):
    reconstruction.compare_layers(members, [1, rank])
