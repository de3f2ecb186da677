"""Tests of the sums, the figures and the metric that accumulates them."""

import math

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import tensorflow as tf
import tensorflow_probability as tfp

from uncertainty_distill import errors
from uncertainty_distill import metrics


_DIVERSITY = metrics.diversity.NAMES


def _entropy(p):
  """That of the probabilities (p, 1 - p), in nats."""
  return -p * math.log(p) - (1 - p) * math.log(1 - p)


def _random(members=3, examples=64, classes=5, seed=0):
  generator = np.random.default_rng(seed)
  logits = generator.normal(size=(members, examples, classes)) * 2
  # No label is of the last class.
  labels = generator.integers(classes - 1, size=examples)
  return logits.astype(np.float32), labels.astype(np.int32)


def _assert_equal(got, want, rtol=1e-5):
  assert got.keys() == want.keys()
  for key in want:
    np.testing.assert_allclose(
        got[key], want[key], rtol=rtol, atol=1e-6, err_msg=key
    )


def test_statistics_by_hand():
  # Means (.4, .6) and (.9, .1), the latter by a member that is sure but wrong.
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
          _entropy(0.4) - (_entropy(0.2) + _entropy(0.4)) / 2
          + _entropy(0.1) - _entropy(0.2) / 2
      ),
      # Ratios to the largest (1, 1/2) and (1, 0).
      'masegosa_variance': 0.25**2 / 2 + 0.5**2 / 2,
      'member_correct': [1.0, 0.0],
      'bin_count': [0, 0, 1, 1],
      'bin_confidence': [0, 0, 0.6, 0.9],
      'bin_correct': [0, 0, 1, 0],
  }
  _assert_equal(statistics, want)
  _assert_equal(
      metrics.figures(statistics),
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
  logits, labels = _random(ensemble_size, 500)
  members = scipy.special.softmax(logits.astype(np.float64), axis=-1)
  probs = members.mean(axis=0)
  classes = range(5)
  got = metrics.figures(metrics.sufficient_statistics(logits, labels))
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
  _assert_equal({name: got[name] for name in want}, want)
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
  figures = metrics.figures(
      metrics.sufficient_statistics(logits, tf.constant([0, 0]))
  )
  # Confidence 1 twice, right once.
  want = dict(accuracy=0.5, ece=0.5, nll=1e4, gibbs_nll=1e4, brier=1.0)
  _assert_equal(figures, {**want, 'member_accuracy': 0.5})


@pytest.mark.parametrize('dtype', [bool, np.float32])
@pytest.mark.parametrize('jit', [False, True])
def test_mask_removes_padding(dtype, jit):
  logits, labels = _random(examples=5)
  want = metrics.sufficient_statistics(logits[:, :3], labels[:3])
  logits[:, 3:] = np.nan
  labels[3:] = [-1, 99]
  mask = np.array([1, 1, 1, 0, 0], dtype)
  sums = tf.function(metrics.sufficient_statistics, jit_compile=jit)
  _assert_equal(sums(logits, labels, mask), want)


def test_mask_of_two_counts_an_example_twice():
  logits, labels = _random(examples=2)
  got = metrics.sufficient_statistics(logits, labels, np.array([2.0, 1.0]))
  twice = np.array([0, 0, 1])
  want = metrics.sufficient_statistics(logits[:, twice], labels[twice])
  _assert_equal(got, want)


def test_statistics_of_parts_add_up():
  logits, labels = _random()
  whole = metrics.sufficient_statistics(logits, labels)
  left = metrics.sufficient_statistics(logits[:, :20], labels[:20])
  right = metrics.sufficient_statistics(logits[:, 20:], labels[20:])
  _assert_equal({key: left[key] + right[key] for key in whole}, whole)


@pytest.mark.parametrize('jit', [False, True])
def test_compiled_equals_eager(jit):
  def compute(logits, labels, mask):
    statistics = metrics.sufficient_statistics(logits, labels, mask)
    return {**statistics, **metrics.figures(statistics)}

  arguments = *_random(), np.arange(64) % 3 > 0
  _assert_equal(
      tf.function(compute, jit_compile=jit)(*arguments), compute(*arguments)
  )


@pytest.mark.parametrize('dtype', [tf.bfloat16, tf.float16])
def test_computes_in_float32(dtype):
  logits, labels = _random()
  logits = tf.cast(logits, dtype)
  got = metrics.sufficient_statistics(logits, tf.cast(labels, tf.uint8))
  want = metrics.sufficient_statistics(tf.cast(logits, tf.float32), labels)
  assert {value.dtype for value in got.values()} == {tf.float32}
  _assert_equal(got, want, rtol=0)


def test_figures_of_numpy_arrays_and_lists():
  statistics = metrics.sufficient_statistics(*_random())
  want = metrics.figures(statistics)
  arrays = {key: value.numpy() for key, value in statistics.items()}
  _assert_equal(metrics.figures(arrays), want)
  lists = {key: value.tolist() for key, value in arrays.items()}
  _assert_equal(metrics.figures(lists), want)


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


def test_metric_accumulates_and_resets():
  metric = metrics.ClassificationStatistics(ensemble_size=3, num_bins=10)
  logits, labels = _random()
  mask = np.arange(64) % 4 > 0

  @tf.function
  def step(*batch):
    metric.update_state(*batch)

  whole = metrics.sufficient_statistics(logits, labels, mask, num_bins=10)
  # The second pass would show what a reset had left behind.
  for _ in range(2):
    for part in (slice(0, 32), slice(32, 64)):
      step(logits[:, part], labels[part], mask[part])
    _assert_equal(metric.statistics(), whole)
    _assert_equal(metric.result(), metrics.figures(whole))
    metric.reset_state()
  assert all(np.all(value == 0) for value in metric.statistics().values())


def test_metric_configuration_round_trip():
  metric = metrics.ClassificationStatistics(3, num_bins=10, name='clean')
  copy = metrics.ClassificationStatistics.from_config(metric.get_config())
  assert copy.get_config() == metric.get_config()
  for got, want in zip(copy.variables, metric.variables, strict=True):
    assert got.shape == want.shape


def test_metric_refuses_other_ensemble_sizes():
  metric = metrics.ClassificationStatistics(ensemble_size=4)
  with pytest.raises(errors.InputError, match='4 members'):
    metric.update_state(*_random(members=1))


def test_metric_sums_over_replicas(replicas):
  strategy = replicas
  with strategy.scope():
    metric = metrics.ClassificationStatistics(ensemble_size=3)
  logits, labels = _random()
  # Unequal shares, so that a mean over replicas would not do.
  mask = np.arange(64) < 50
  whole = metrics.sufficient_statistics(logits, labels, mask)

  def halves(values):
    return strategy.experimental_distribute_values_from_function(
        lambda context: values[context.replica_id_in_sync_group]
    )

  batch = (
      halves([tf.constant(x) for x in np.split(logits, 2, axis=1)]),
      halves([tf.constant(x) for x in np.split(labels, 2)]),
      halves([tf.constant(x) for x in np.split(mask, 2)]),
  )

  @tf.function
  def step(*arguments):
    strategy.run(metric.update_state, args=arguments)

  for _ in range(2):
    step(*batch)
    _assert_equal(metric.statistics(), whole)
    _assert_equal(metric.result(), metrics.figures(whole))
    metric.reset_state()
