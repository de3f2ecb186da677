"""Tests of conformal prediction sets."""

import warnings

from uncertainty_distill import metrics

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

# The mean probabilities of two members, and how far each is from the mean.
_MEANS = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]], np.float32)
_GAPS = np.array([[0.1, -0.1, 0.0], [-0.1, 0.2, -0.1]], np.float32)


def _logits(rows):
  """Returns two members' logits, whose mean probabilities are rows of _MEANS.

  The logits [2, len(rows), 3] are the logarithms of probabilities.
  """
  return np.log(np.stack([_MEANS + _GAPS, _MEANS - _GAPS]))[:, rows]


def _random(count, classes=6, seed=0):
  generator = np.random.default_rng(seed)
  logits = generator.normal(size=(3, count, classes)) * 2
  noise = generator.gumbel(size=(count, classes))
  return logits, (logits.mean(0) + noise).argmax(-1)


def _contains(rule, logits):
  return rule.contains(metrics.mean_probs(tf.constant(logits))).numpy()


def test_lac_by_hand():
  # The scores of the labels are .4 nine times, .5 nine times and .8 once. The
  # 18th smallest of 19, ceil(20 * .9), is .5.
  rows, labels = [0] * 9 + [1] * 10, [0] * 9 + [2] * 9 + [0]
  rule = metrics.calibrate_sets(_logits(rows), labels, 0.1, 'lac', 'a file')
  assert rule.threshold == pytest.approx(0.5)
  assert (rule.num_examples, rule.source) == (19, 'a file')
  assert _contains(rule, _logits([0, 1])).tolist() == [
    [True, False, False],
    [False, False, True],
  ]


def test_aps_by_hand():
  # The sums of the probabilities up to the label are .6, .9 and .8. The 3rd
  # smallest of 3, ceil(4 * .7), is .9.
  rule = metrics.calibrate_sets(_logits([0, 0, 1]), [0, 1, 1], 0.3, 'aps')
  assert rule.threshold == pytest.approx(0.9)
  assert _contains(rule, _logits([0, 1])).tolist() == [
    [True, True, False],
    [False, True, True],
  ]


def test_raps_by_hand():
  probs = tf.constant(_MEANS)
  rule = metrics.PredictionSets(0.1, 'raps', 0.95, penalty=0.2, free_ranks=1)
  np.testing.assert_allclose(
    1 + rule.shifted_scores(probs),
    [[0.6, 1.1, 1.4], [1.4, 1.0, 0.5]],
    rtol=1e-6,
  )
  assert rule.contains(probs).numpy().tolist() == [
    [True, False, False],
    [False, False, True],
  ]


def test_raps_chooses_its_constants_on_a_fifth():
  logits, labels = _random(500)
  rule = metrics.calibrate_sets(logits, labels, 0.1, 'raps')
  first = np.random.default_rng(0).permutation(500)[:100]
  probs = special.softmax(logits, -1).mean(0)[first]
  of_labels = probs[np.arange(100), labels[first]]
  ranks = np.sum(probs >= of_labels[:, None], -1)
  assert rule.free_ranks == np.sort(ranks)[91 - 1]  # ceil(101 * .9)
  assert rule.penalty in (0.001, 0.01, 0.1, 0.2, 0.5)
  aps = metrics.calibrate_sets(logits, labels, 0.1, 'aps')
  others = _random(2000, seed=1)[0]
  assert _contains(rule, others).sum() < _contains(aps, others).sum()


@pytest.mark.parametrize('method', metrics.SET_METHODS)
def test_covers_what_it_promises_and_is_never_empty(method):
  logits, labels = _random(2000)
  rule = metrics.calibrate_sets(logits, labels, 0.2, method)
  new, new_labels = _random(5000, seed=1)
  contains = _contains(rule, new)
  sums = metrics.set_statistics(contains, new_labels, tf.ones(5000))
  # The tolerance is 3 standard deviations of calibration and test together.
  assert float(sums['coverage']) / 5000 == pytest.approx(0.8, abs=0.035)
  assert float(sums['set_size']) / 5000 == contains.sum(-1).mean()
  assert 1 <= contains.sum(-1).min() < contains.sum(-1).max()


def test_the_most_probable_class_is_in_the_set_whatever_its_score():
  for method in metrics.SET_METHODS:
    rule = metrics.PredictionSets(0.5, method, -1.0)
    assert _contains(rule, _logits([0, 1])).tolist() == [
      [True, False, False],
      [False, False, True],
    ]


def test_of_equal_probabilities_the_first_ranks_first():
  probs = tf.fill([1, 4], 0.25)
  scores = metrics.PredictionSets(0.1, 'aps', 1.0).shifted_scores(probs)
  np.testing.assert_allclose(scores, [[-0.75, -0.5, -0.25, 0]])


@pytest.mark.parametrize('method', ['aps', 'raps'])
def test_sure_images_have_small_sets(method):
  """Half of the labels have scores nearer to 1 than float32 can tell."""
  generator = np.random.default_rng(0)
  labels = generator.integers(0, 10, 2000)
  logits = generator.normal(size=(1, 2000, 10))
  # 6% of the images are wrong, and half of them are as sure as the right ones.
  told = np.where(generator.random(2000) < 0.06, (labels + 1) % 10, labels)
  logits += 18 * generator.uniform(0.5, 1.5, (1, 2000, 1)) * np.eye(10)[told]
  rule = metrics.calibrate_sets(logits, labels, 0.05, method)
  assert 1 - 1e-6 < rule.threshold < 1.05
  sizes = _contains(rule, logits).sum(-1)
  probs = special.softmax(logits[0], -1)
  surest = np.argsort(probs.max(-1))[-200:]
  assert sizes[surest].mean() < 5 and sizes.mean() < 9


def test_ties_with_the_threshold_are_held_however_they_are_rounded():
  # Nine of twenty members vote for the label, which is the usual score.
  votes = np.repeat([0, 1], [11, 9])
  logits = np.tile(200 * np.eye(3)[votes][:, None], (1, 40, 1))
  rule = metrics.calibrate_sets(logits, np.ones(40, int), 0.1, 'lac')
  served = tf.reduce_mean(tf.nn.softmax(tf.constant(logits, tf.float32)), 0)
  for shift in -1e-7, 0, 1e-7:
    assert np.all(rule.contains(served + shift)[:, 1])


def test_padding_does_not_count():
  contains = tf.constant([[True, False], [True, True], [True, True]])
  sums = metrics.set_statistics(contains, [1, 0, 99], tf.constant([1.0, 1, 0]))
  assert (float(sums['coverage']), float(sums['set_size'])) == (1, 3)


def test_the_least_number_of_examples():
  assert metrics.least_examples(0.1, 'lac') == 9
  assert metrics.least_examples(0.05, 'aps') == 19
  assert metrics.least_examples(0.1, 'raps') == 45


class _Fixed:
  """A scikit-learn classifier whose inputs are the probabilities."""

  classes_ = np.arange(6)
  _estimator_type = 'classifier'

  def fit(self, x, y):
    del x, y
    return self

  def predict_proba(self, x):
    return x

  def predict(self, x):
    return x.argmax(-1)

  def __sklearn_is_fitted__(self):
    return True


def test_agrees_with_mapie():
  classification = pytest.importorskip(
    'mapie.classification', reason='MAPIE is not installed'
  )
  scores = pytest.importorskip('mapie.conformity_scores')
  logits, labels = _random(300)
  new, _ = _random(400, seed=1)
  probs, new_probs = (special.softmax(x, -1).mean(0) for x in (logits, new))
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    oracle = classification.SplitConformalClassifier(
      _Fixed(), confidence_level=0.9, conformity_score='lac', prefit=True
    )
    oracle.conformalize(probs, labels)
    _, want = oracle.predict_set(new_probs)
  rule = metrics.calibrate_sets(logits, labels, 0.1, 'lac')
  top = np.eye(6, dtype=bool)[new_probs.argmax(-1)]
  np.testing.assert_array_equal(_contains(rule, new), want[..., 0] | top)
  # MAPIE's calibration of APS is random, so only its other parts are compared.
  aps = scores.APSConformityScore()
  sums, ranks = aps.get_true_label_cumsum_proba(labels, probs, np.arange(6))
  rule = metrics.calibrate_sets(logits, labels, 0.1, 'aps')
  got = 1 + rule.shifted_scores(tf.constant(probs, tf.float32)).numpy()
  got = got[np.arange(300), labels]
  np.testing.assert_allclose(got, sums[:, 0], rtol=1e-5)
  aps.quantiles_ = aps.get_conformity_score_quantiles(
    sums, np.array([0.1]), 'prefit'
  )
  assert rule.threshold == pytest.approx(float(aps.quantiles_[0]), rel=1e-5)
  want = aps.get_prediction_sets(
    new_probs[..., None],
    sums,
    np.array([0.1]),
    'prefit',
    include_last_label=False,
  )[..., 0]
  # Float32 may decide differently at the threshold.
  assert (_contains(rule, new) != want).mean() < 1e-3
  raps = metrics.PredictionSets(0.1, 'raps', 1.0, penalty=0.2, free_ranks=2)
  got = 1 + raps.shifted_scores(tf.constant(probs, tf.float32)).numpy()
  want = scores.RAPSConformityScore._regularize_conformity_score(
    np.array([2]), 0.2, sums, ranks
  )
  np.testing.assert_allclose(
    got[np.arange(300), labels], want[:, 0, 0], rtol=1e-5
  )
