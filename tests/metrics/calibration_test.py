"""Tests of the calibration bins by hand, at their edges and against TFP."""

from uncertainty_distill.metrics import calibration

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp


def _bins(confidence, correct, weights=None, num_bins=15):
  weights = np.ones_like(confidence) if weights is None else weights
  return calibration.calibration_bins(
    *(tf.constant(x, tf.float32) for x in (confidence, correct, weights)),
    num_bins,
  )


def test_bins_and_error_by_hand():
  sums = _bins([0.6, 0.7, 0.9, 0.9], [1, 0, 1, 1], num_bins=5)
  np.testing.assert_allclose(sums[0], [0, 0, 0, 2, 2])
  np.testing.assert_allclose(sums[1], [0, 0, 0, 1.3, 1.8], rtol=1e-6)
  np.testing.assert_allclose(sums[2], [0, 0, 0, 1, 2])
  # 1/2 |1/2 - .65| + 1/2 |1 - .9|; empty bins add nothing.
  error = calibration.expected_calibration_error(*sums)
  np.testing.assert_allclose(error, 0.125, rtol=1e-6)


@pytest.mark.parametrize(
  'confidence, bin_index',
  [
    (0.0, 0),
    (0.2 - 1e-5, 2),
    (np.nextafter(np.float32(0.2), np.float32(0)), 3),
    (0.2, 3),
    (np.nextafter(np.float32(1), np.float32(0)), 14),
    (1.0, 14),
    # Rounding can lift a sum of probabilities above 1.
    (1.0000001, 14),
  ],
)
def test_edges_of_bins(confidence, bin_index):
  count, _, _ = _bins([confidence], [1.0])
  np.testing.assert_array_equal(count, np.eye(15)[bin_index])


def test_weights_count_examples():
  sums = _bins([0.6, 0.7, 0.9], [1, 0, 1], weights=[0, 2, 1], num_bins=5)
  repeated = _bins([0.7, 0.7, 0.9], [0, 0, 1], num_bins=5)
  for got, want in zip(sums, repeated):
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize('num_bins', [1, 10, 15])
def test_equals_tfp(num_bins):
  generator = np.random.default_rng(0)
  logits = generator.normal(size=(500, 4)).astype(np.float32) * 3
  labels = generator.integers(4, size=500).astype(np.int32)
  confidence = np.max(tf.nn.softmax(logits), axis=-1)
  sums = _bins(confidence, logits.argmax(-1) == labels, num_bins=num_bins)
  np.testing.assert_allclose(
    calibration.expected_calibration_error(*sums),
    tfp.stats.expected_calibration_error(
      num_bins, tf.constant(logits), tf.constant(labels)
    ),
    rtol=1e-5,
  )


def test_the_two_directions_of_the_error_by_hand():
  # As above: overconfident by (1.3 - 1) / 4, underconfident by (2 - 1.8) / 4.
  bins = [0, 0, 0, 2, 2], [0, 0, 0, 1.3, 1.8], [0, 0, 0, 1, 2]
  gaps = calibration.confidence_gaps(*map(np.array, bins))
  assert gaps == pytest.approx(
    {'overconfidence': 0.075, 'underconfidence': 0.05}
  )
  error = calibration.expected_calibration_error(
    *(tf.constant(x, tf.float32) for x in bins)
  )
  assert sum(gaps.values()) == pytest.approx(float(error))


def test_the_classwise_error_by_hand():
  probs = tf.constant([[0.75, 0.25], [0.6, 0.4], [0.0, 1.0], [np.nan, 0.5]])
  labels, weights = [0, 1, 1, 99], tf.constant([1.0, 1.0, 1.0, 0.0])
  gaps = calibration.class_gaps(probs, labels, weights, num_bins=2).numpy()
  # The lower bin of class 0 has 0 - 0, and its upper bin has .75 + .6 - 1. The
  # lower bin of class 1 has .25 + .4 - 1, and its upper bin has 1 - 1.
  np.testing.assert_allclose(gaps, [[0, 0.35], [-0.35, 0]], atol=1e-6)
  error = calibration.classwise_calibration_error(gaps, 3)
  assert error == pytest.approx(0.7 / 2 / 3)


def test_the_classwise_error_follows_from_its_definition():
  generator = np.random.default_rng(0)
  probs = generator.dirichlet(np.ones(4), 500)
  labels = generator.integers(0, 4, 500)
  gaps = sum(
    calibration.class_gaps(
      tf.constant(probs[part], tf.float32), labels[part], tf.ones(250)
    ).numpy()
    for part in (slice(250), slice(250, 500))
  )
  want = 0.0
  for k in range(4):
    bins = np.floor(probs[:, k] * 15)
    for each in range(15):
      inside = bins == each
      if inside.any():
        gap = abs((labels[inside] == k).mean() - probs[inside, k].mean())
        want += inside.mean() * gap / 4
  got = calibration.classwise_calibration_error(gaps, 500)
  assert got == pytest.approx(want, rel=1e-4)
