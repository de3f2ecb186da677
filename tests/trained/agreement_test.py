"""Tests of whether other readings of outputs explain labels far better."""

from uncertainty_distill.trained import agreement

import numpy as np
import pytest

_EXACT = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]


def _labels(count, classes, share=0.0):
  """Returns labels in turn, but all 0 for a share of them at the start."""
  labels = np.arange(count) % classes
  labels[: int(share * count)] = 0
  return labels


def _logits(labels, classes, accuracy=0.97, scale=6.0, seed=0, noise=1.0):
  """Returns logits of a network that is right about a share of the labels."""
  rng = np.random.default_rng(seed)
  wrong = rng.random(len(labels)) > accuracy
  told = np.where(wrong, rng.integers(0, classes, len(labels)), labels)
  drawn = rng.normal(size=(len(labels), classes))
  return scale * np.eye(classes)[told] + noise * drawn


def _better_order(logits, labels):
  given = agreement.agreement(logits, labels)
  other = agreement.in_best_order(logits, labels)
  return other, agreement.is_far_better(other, given)


@pytest.mark.parametrize(
  'count, classes, order',
  [
    (256, 10, _EXACT),
    (256, 10, [0, 1, 3, 2, *range(4, 10)]),
    (40, 10, _EXACT),
    (30, 2, [1, 0]),
    (500, 100, [*range(99, -1, -1)]),
    (500, 100, [*range(1, 100), 0]),
    (256, 3, [1, 2, 0]),
  ],
)
@pytest.mark.parametrize('share', [0, 0.6])
def test_finds_the_order_of_classes(count, classes, order, share):
  if share and count < 100:
    pytest.skip('too few images of the other classes')
  labels = _labels(count, classes, share)
  logits = _logits(labels, classes, 0.99)
  found, is_better = _better_order(logits[:, np.argsort(order)], labels)
  assert is_better
  seen = np.unique(labels)
  np.testing.assert_array_equal(
    np.asarray(found.order)[seen], np.asarray(order)[seen]
  )
  assert found.accuracy > 0.8
  assert not _better_order(logits, labels)[1]


def test_a_poor_network_with_classes_in_another_order():
  labels = _labels(256, 10)
  logits = _logits(labels, 10, 0.5, scale=2.2, noise=0.3)
  assert _better_order(logits[:, _EXACT], labels)[1]
  assert not _better_order(logits, labels)[1]
  # The votes have no probability but 0 and 1, like those of a decision tree.
  votes = 100 * np.eye(10)[_logits(labels, 10, 0.65, noise=0).argmax(-1)]
  assert _better_order(votes[:, _EXACT], labels)[1]
  assert not _better_order(votes, labels)[1]


@pytest.mark.parametrize('classes', [2, 3, 10, 100])
@pytest.mark.parametrize('count', [8, 25, 48, 256])
@pytest.mark.parametrize('share', [0, 0.8])
@pytest.mark.parametrize('scale', [0.01, 1, 30])
def test_random_networks_are_in_no_better_order(classes, count, share, scale):
  labels = _labels(count, classes, share)
  for seed in range(25):
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(count, classes))
    constant = logits + scale * 3 * rng.normal(size=classes)
    for member in logits, constant:
      assert not _better_order(member, labels)[1]
      assert agreement.without_softmax(member) is None or scale < 1


@pytest.mark.parametrize('classes', [2, 10])
def test_networks_that_hardly_know_anything_are_in_no_better_order(classes):
  labels = _labels(256, classes)
  for seed in range(50):
    # Untrained features depend on the class; the next layer's weights do not.
    rng = np.random.default_rng(seed)
    features = np.eye(classes)[labels] + rng.normal(size=(256, classes))
    weights = rng.normal(size=(classes, classes)) * 0.4
    assert not _better_order(features @ weights, labels)[1]
    # After a few steps, the network takes all images of some classes for
    # another class.
    collapsed = _logits(labels, classes, 0.9, 2.0, seed)
    collapsed[:, : classes // 2] -= 5
    assert not _better_order(collapsed, labels)[1]


@pytest.mark.parametrize('classes', [2, 10, 100])
def test_probabilities_that_are_taken_for_logits(classes):
  labels = _labels(300, classes)
  logits = _logits(labels, classes, 0.995, 12)
  probs = np.exp(logits - np.logaddexp.reduce(logits, -1, keepdims=True))
  twice = probs - np.logaddexp.reduce(probs, -1, keepdims=True)
  for given in probs, twice, probs.astype(np.float16):
    other = agreement.without_softmax(given)
    read = agreement.agreement(other, labels)
    as_given = agreement.agreement(given, labels)
    assert agreement.is_far_better(read, as_given, is_evident=True)
    want = agreement.agreement(logits, labels).nll
    assert read.nll == pytest.approx(want, rel=0.01)
  assert agreement.without_softmax(logits) is None


@pytest.mark.parametrize('largest', [0.1, 0.5, 0.9])
def test_small_logits_are_no_probabilities(largest):
  labels = _labels(256, 2)
  rng = np.random.default_rng(0)
  sure = largest * rng.random(256) * np.where(labels, 1, -1)
  logits = np.stack([-sure / 2, sure / 2], -1)
  assert agreement.agreement(logits, labels).accuracy == 1
  assert agreement.without_softmax(logits) is None


def test_a_scale_that_keeps_the_classes_and_loses_the_confidence():
  labels = _labels(256, 10)
  right = agreement.agreement(_logits(labels, 10, 0.97), labels)
  unsure = agreement.agreement(_logits(labels, 10, 0.97, 0.02) / 10, labels)
  wild = agreement.agreement(_logits(labels, 10, 0.8, 40), labels)
  assert agreement.is_far_better(right, unsure)
  assert agreement.is_far_better(right, wild)
  # Less confidence with the same errors is calibration, not another reading.
  logits = _logits(labels, 10, 0.7, 40)
  sharp, soft = (agreement.agreement(logits * t, labels) for t in (1, 1e-3))
  assert not agreement.is_far_better(soft, sharp)
  assert agreement.could_be_better(unsure)
  sure = agreement.agreement(9 * np.eye(10)[labels], labels)
  assert not agreement.could_be_better(sure)


@pytest.mark.parametrize('errors', [9, 5, 4, 3, 1, 0])
def test_fewer_errors_are_no_worse_evidence(errors):
  """The NLL falls to a twentieth, and the errors from 9 to fewer."""
  labels = _labels(256, 10)

  def read(wrong, scale):
    told = labels.copy()
    told[:wrong] = (told[:wrong] + 1) % 10
    return agreement.agreement(scale * np.eye(10)[told], labels)

  other, given = read(errors, 5), read(9, 1)
  assert other.nll < given.nll / 2
  assert agreement.is_far_better(other, given)


def test_near_chance():
  labels = _labels(256, 10)

  def is_near(logits, labels=labels):
    given = agreement.agreement(logits, labels)
    return agreement.is_near_chance(given, labels)

  rng = np.random.default_rng(0)
  assert is_near(rng.normal(size=(256, 10)))
  assert is_near(np.eye(10)[(labels + 1) % 10])
  assert not is_near(_logits(labels, 10, 0.2))
  # A network that always answers the most frequent class knows nothing.
  often = _labels(256, 10, 0.8)
  assert is_near(np.tile(np.eye(10)[0], (256, 1)), often)
  few = _labels(4, 2)
  assert not is_near(np.eye(2)[few], few)


def test_an_agreement():
  logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [1e-9, 1.0, 1e-9]])
  found = agreement.agreement(logits, np.array([0, 1, 0]))
  np.testing.assert_array_equal(found.is_right, [True, False, False])
  want = -np.log([0.7, 0.2, 1e-4])
  np.testing.assert_allclose(found.nlls, want)
  assert found.accuracy == pytest.approx(1 / 3)
  assert found.nll == pytest.approx(want.mean())
  given = -np.log([0.7, 0.2, 1e-9 / (1 + 2e-9)])
  assert found.full_nll == pytest.approx(given.mean())
  chance = -np.log(2 / 3) * 2 / 3 - np.log(1 / 3) / 3
  assert found.chance == pytest.approx(chance)
