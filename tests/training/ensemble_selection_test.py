"""Tests of greedy selection against picks and NLLs worked out by hand."""

from uncertainty_distill import metrics
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.training import ensemble_selection

import numpy as np
import pytest


def _log_probs(*of_labels):
  """Returns the log-probabilities of two classes, and the labels.

  Args:
    *of_labels: Each network's probabilities of the labels, which are all 1.
  """
  probs = np.array(of_labels, np.float64)
  log_probs = np.log(np.stack([1 - probs, probs], axis=-1))
  return log_probs.astype(np.float32), np.ones(probs.shape[1], np.int32)


def test_by_hand_with_replacement():
  # The first pick is network 0, by the NLL of each network alone:
  #   0: -ln(0.9 * 0.3) / 2 = 0.6547
  #   1: -ln(0.2 * 0.6) / 2 = 1.0601
  #   2: -ln(0.5 * 0.5) / 2 = 0.6931
  # The second pick is network 2, by the mean of network 0 and each network:
  #   0: (0.9, 0.3), NLL 0.6547
  #   1: (0.55, 0.45), NLL -ln(0.2475) / 2 = 0.6982
  #   2: (0.7, 0.4), NLL -ln(0.28) / 2 = 0.6365
  # The third pick is network 0 again, by the mean of all three picks:
  #   0: (2.3, 1.1) / 3, NLL -ln(0.28111) / 2 = 0.63450
  #   1: (1.6, 1.4) / 3, NLL -ln(0.24889) / 2 = 0.6954
  #   2: (1.9, 1.3) / 3, NLL -ln(0.27444) / 2 = 0.6465
  # If three members are wanted, picks continue until network 1 is picked.
  log_probs, labels = _log_probs([0.9, 0.3], [0.2, 0.6], [0.5, 0.5])
  two = ensemble_selection.select(log_probs, labels, 2)
  assert two.picks == (0, 2)
  np.testing.assert_allclose(two.nlls, [0.65467, 0.63648], atol=1e-5)
  three = ensemble_selection.select(log_probs, labels, 3)
  assert three.picks[:3] == (0, 2, 0)
  np.testing.assert_allclose(three.nlls[2], 0.63450, atol=1e-5)
  assert list(three.counts) == [0, 2, 1] and three.counts[1] == 1
  assert three.picks[-1] == 1


def test_a_repeated_pick_makes_room_for_another():
  # Network 0 alone has the NLL -ln(0.9 * 0.9 * 0.2) / 3 = 0.60672. At equal
  # weight, network 1 does harm: -ln(0.5 * 0.5 * 0.575) / 3 = 0.64656. So 0 is
  # picked again. At half the weight of network 0, network 1 helps:
  # -ln(1.9 * 1.9 * 1.35 / 27) / 3 = 0.57068.
  log_probs, labels = _log_probs([0.9, 0.9, 0.2], [0.1, 0.1, 0.95])
  picked = ensemble_selection.select(log_probs, labels, 2)
  assert picked.picks == (0, 0, 1)
  np.testing.assert_allclose(
    picked.nlls, [0.60672, 0.60672, 0.57068], atol=1e-5
  )
  # In the ensemble, the members have equal weights again.
  assert metrics.ensemble_nll(log_probs, labels) == pytest.approx(
    0.64656, abs=1e-5
  )


def test_ties_go_to_the_first():
  log_probs, labels = _log_probs(*[[0.5, 0.5]] * 4)
  assert ensemble_selection.select(log_probs, labels, 1).picks == (0,)
  # Of equal networks, 0 is picked until the bound, and then the others.
  picked = ensemble_selection.select(log_probs, labels, 3)
  assert picked.picks == (0,) * 30 + (1, 2)
  assert picked.counts == {0: 30, 1: 1, 2: 1}


def test_picks_are_bounded_and_completed_by_the_best():
  # Network 1 alone is better than its mean with any other network.
  log_probs, labels = _log_probs([0.1, 0.1], [0.9, 0.9], [0.3, 0.3], [0.2, 0.2])
  picked = ensemble_selection.select(log_probs, labels, 3)
  assert picked.picks == (1,) * 30 + (2, 3)
  np.testing.assert_allclose(picked.nlls[:30], -np.log(0.9), atol=1e-6)
  np.testing.assert_allclose(
    # Means of distinct networks: (0.9 + 0.3) / 2, (0.9 + 0.3 + 0.2) / 3.
    picked.nlls[30:],
    -np.log([0.6, 1.4 / 3]),
    atol=1e-6,
  )


def test_diverged_networks_are_not_picked():
  log_probs, labels = _log_probs([0.9, 0.9], [0.6, 0.6], [0.2, 0.2])
  log_probs[0, 1, 0] = np.nan
  assert set(ensemble_selection.select(log_probs, labels, 2).picks) == {1, 2}
  with pytest.raises(DivergedError, match='1 of 3'):
    ensemble_selection.select(log_probs, labels, 3)


def test_labels_and_classes_are_looked_up():
  generator = np.random.default_rng(0)
  probs = generator.dirichlet(np.ones(4), size=[6, 20])
  labels = generator.integers(4, size=20)
  picked = ensemble_selection.select(np.log(probs), labels, 3)
  for length in range(1, len(picked.picks) + 1):
    nlls = []
    for candidate in range(6):
      mean = probs[[*picked.picks[: length - 1], candidate]].mean(0)
      nlls.append(-np.mean(np.log(mean[np.arange(20), labels])))
    assert picked.picks[length - 1] == int(np.argmin(nlls))
    assert picked.nlls[length - 1] == pytest.approx(min(nlls))
  members = list(picked.counts)
  mean = probs[members].mean(0)[np.arange(20), labels]
  nll = metrics.ensemble_nll(np.log(probs[members]), labels)
  assert nll == pytest.approx(-np.mean(np.log(mean)))
