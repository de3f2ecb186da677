"""Tests of the sums over a batch and of the metrics computed from them."""

import math

from uncertainty_distill import errors, metrics

import numpy as np
import pytest
import random_logits
import scipy.special
import sklearn.metrics
import tensorflow as tf
import tensorflow_probability as tfp

_DIVERSITY = metrics.DIVERSITY


def _entropy(p):
  """Returns the entropy of the probabilities (p, 1 - p), in nats."""
  return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_statistics_by_hand():
  # The means are (.4, .6) and (.9, .1). In the second example, one member is
  # sure but wrong.
  probs = [[[0.2, 0.8], [0.8, 0.2]], [[0.6, 0.4], [1.0, math.exp(-20)]]]
  statistics = metrics.sufficient_statistics(
    tf.math.log(probs), tf.constant([1, 1]), num_bins=4
  )
  want = {
    'count': 2.0,
    'correct': 1.0,
    'nll': -math.log(0.6) - math.log(0.1),
    'gibbs_nll': 0.5 * (-math.log(0.8 * 0.4 * 0.2) + 20.0),
    'brier': 2 * 0.4**2 + 2 * 0.9**2,
    'disagreement': 1.0,
    'pairwise_kl': 0.2 * math.log(6) + 0.1 * (20 + math.log(0.2 / 0.8)),
    'mutual_information': (
      _entropy(0.4)
      - (_entropy(0.2) + _entropy(0.4)) / 2
      + _entropy(0.1)
      - _entropy(0.2) / 2
    ),
    # The ratios to the largest probability are (1, 1/2) and (1, 0).
    'masegosa_variance': 0.25**2 / 2 + 0.5**2 / 2,
    'member_correct': [1.0, 0.0],
    'bin_count': [0, 0, 1, 1],
    'bin_confidence': [0, 0, 0.6, 0.9],
    'bin_correct': [0, 0, 1, 0],
  }
  random_logits.assert_equal(statistics, want)
  random_logits.assert_equal(
    metrics.compute_metrics(statistics),
    {
      'accuracy': 0.5,
      'ece': (0.4 + 0.9) / 2,
      'nll': want['nll'] / 2,
      'gibbs_nll': want['gibbs_nll'] / 2,
      **{name: want[name] / 2 for name in ('brier', *_DIVERSITY)},
      'member_accuracy': 0.25,
    },
  )


@pytest.mark.parametrize('ensemble_size', [1, 4])
def test_figures_equal_sklearn_and_tfp(ensemble_size):
  logits, labels = random_logits.draw(ensemble_size, 500)
  members = scipy.special.softmax(logits.astype(np.float64), axis=-1)
  probs = members.mean(axis=0)
  classes = range(5)
  got = metrics.compute_metrics(metrics.sufficient_statistics(logits, labels))
  want = {
    'accuracy': sklearn.metrics.accuracy_score(labels, probs.argmax(-1)),
    'ece': tfp.stats.expected_calibration_error(
      15, tf.constant(np.log(probs), tf.float32), tf.constant(labels)
    ),
    'nll': sklearn.metrics.log_loss(labels, probs, labels=classes),
    'gibbs_nll': np.mean(
      [sklearn.metrics.log_loss(labels, p, labels=classes) for p in members]
    ),
    'brier': np.mean(np.sum((probs - np.eye(5)[labels]) ** 2, axis=-1)),
    'member_accuracy': np.mean(members.argmax(-1) == labels),
  }
  assert got.keys() - want.keys() == (
    set() if ensemble_size == 1 else set(_DIVERSITY)
  )
  random_logits.assert_equal({name: got[name] for name in want}, want)
  if ensemble_size == 1:
    np.testing.assert_allclose(got['nll'], got['gibbs_nll'], rtol=1e-6)
    np.testing.assert_allclose(got['accuracy'], got['member_accuracy'])


def test_ties_go_to_the_first_class():
  logits = tf.zeros([2, 3, 4])
  statistics = metrics.sufficient_statistics(logits, tf.constant([0, 1, 3]))
  assert statistics['correct'] == 1.0
  np.testing.assert_array_equal(statistics['member_correct'], [1.0, 1.0])
  assert statistics['bin_count'][3] == 3.0  # 3 / 15 <= 1/4 < 4 / 15


def test_extreme_logits():
  logits = tf.constant([[[1e4, -1e4], [-1e4, 1e4]]])
  figures = metrics.compute_metrics(
    metrics.sufficient_statistics(logits, tf.constant([0, 0]))
  )
  # The confidence is 1 twice, and one of the predictions is right.
  want = dict(accuracy=0.5, ece=0.5, nll=1e4, gibbs_nll=1e4, brier=1.0)
  random_logits.assert_equal(figures, {**want, 'member_accuracy': 0.5})


@pytest.mark.parametrize('dtype', [bool, np.float32])
@pytest.mark.parametrize('jit', [False, True])
def test_mask_removes_padding(dtype, jit):
  logits, labels = random_logits.draw(examples=5)
  want = metrics.sufficient_statistics(logits[:, :3], labels[:3])
  logits[:, 3:] = np.nan
  labels[3:] = [-1, 99]
  mask = np.array([1, 1, 1, 0, 0], dtype)
  sums = tf.function(metrics.sufficient_statistics, jit_compile=jit)
  random_logits.assert_equal(sums(logits, labels, mask), want)


def test_mask_of_two_counts_an_example_twice():
  logits, labels = random_logits.draw(examples=2)
  got = metrics.sufficient_statistics(logits, labels, np.array([2.0, 1.0]))
  twice = np.array([0, 0, 1])
  want = metrics.sufficient_statistics(logits[:, twice], labels[twice])
  random_logits.assert_equal(got, want)


def test_statistics_of_parts_add_up():
  logits, labels = random_logits.draw()
  whole = metrics.sufficient_statistics(logits, labels)
  left = metrics.sufficient_statistics(logits[:, :20], labels[:20])
  right = metrics.sufficient_statistics(logits[:, 20:], labels[20:])
  sums = {key: left[key] + right[key] for key in whole}
  random_logits.assert_equal(sums, whole)


@pytest.mark.parametrize('jit', [False, True])
def test_compiled_equals_eager(jit):
  def compute(logits, labels, mask):
    statistics = metrics.sufficient_statistics(logits, labels, mask)
    return {**statistics, **metrics.compute_metrics(statistics)}

  arguments = *random_logits.draw(), np.arange(64) % 3 > 0
  random_logits.assert_equal(
    tf.function(compute, jit_compile=jit)(*arguments), compute(*arguments)
  )


@pytest.mark.parametrize('dtype', [tf.bfloat16, tf.float16])
def test_computes_in_float32(dtype):
  logits, labels = random_logits.draw()
  logits = tf.cast(logits, dtype)
  got = metrics.sufficient_statistics(logits, tf.cast(labels, tf.uint8))
  want = metrics.sufficient_statistics(tf.cast(logits, tf.float32), labels)
  assert {value.dtype for value in got.values()} == {tf.float32}
  random_logits.assert_equal(got, want, rtol=0)


def test_figures_of_numpy_arrays_and_lists():
  statistics = metrics.sufficient_statistics(*random_logits.draw())
  want = metrics.compute_metrics(statistics)
  arrays = {key: value.numpy() for key, value in statistics.items()}
  random_logits.assert_equal(metrics.compute_metrics(arrays), want)
  lists = {key: value.tolist() for key, value in arrays.items()}
  random_logits.assert_equal(metrics.compute_metrics(lists), want)


def test_no_example_gives_nan():
  metric = metrics.ClassificationStatistics(ensemble_size=2)
  assert all(np.isnan(value) for value in metric.result().values())


@pytest.mark.parametrize(
  'logits, labels, mask, num_bins, message',
  [
    ((2, 3), (2,), (2,), 15, 'logits'),
    ((4, 2, 3), (4,), (2,), 15, 'labels'),
    ((4, 2, 3), (2, 1), (2,), 15, 'labels'),
    ((4, 2, 3), (2,), (3,), 15, 'mask'),
    ((4, 2, 3), (2,), (2,), 0, 'num_bins'),
  ],
)
def test_refuses(logits, labels, mask, num_bins, message):
  with pytest.raises(errors.InputError, match=message):
    metrics.sufficient_statistics(
      tf.zeros(logits), tf.zeros(labels, tf.int32), tf.ones(mask), num_bins
    )
