"""Tests of every metric on extreme logits against a float64 reference."""

import itertools

from uncertainty_distill import metrics
from uncertainty_distill.metrics import ranking

import extreme_logits
import hypothesis
import numpy as np
import scipy.special
import scipy.stats
from hypothesis import strategies as st

_BINS = 15


def _reference(logits, labels):
  """Computes the metrics of each example by their definitions.

  Returns:
    The metrics by name, float64 [B]; the mean probabilities [B, K]; and the
    classes that the members predict, [E, B].
  """
  log_probs = scipy.special.log_softmax(
    extreme_logits.in_float64(logits), axis=-1
  )
  probs = np.exp(log_probs)
  members, examples, classes = probs.shape
  rows = np.arange(examples)
  mean = probs.mean(0)
  log_mean = scipy.special.logsumexp(log_probs, axis=0) - np.log(members)
  pairs = list(itertools.permutations(range(members), 2))
  votes = probs.argmax(-1)
  of_label = log_probs[:, rows, labels]
  ratios = np.exp(of_label - of_label.max(0))

  def kl(log_p, log_q):
    # From logarithms, because probabilities underflow even in float64.
    return np.sum(np.exp(log_p) * (log_p - log_q), -1)

  return (
    {
      'nll': -log_mean[rows, labels],
      'gibbs_nll': -of_label.mean(0),
      'brier': np.sum((mean - np.eye(classes)[labels]) ** 2, -1),
      'disagreement': np.mean(
        [votes[i] != votes[j] for i, j in pairs] or [0 * rows], 0
      ),
      'pairwise_kl': np.mean(
        [kl(log_probs[i], log_probs[j]) for i, j in pairs] or [0.0 * rows], 0
      ),
      'mutual_information': np.mean(
        [kl(log_probs[i], log_mean) for i in range(members)], 0
      ),
      'masegosa_variance': np.var(ratios, 0) / 2,
    },
    mean,
    votes,
  )


def _is_clear(probs):
  """Returns whether rounding cannot change the predicted class, bool [...]."""
  second, first = np.sort(probs, -1)[..., -2:].swapaxes(0, -1)
  return (first - second).swapaxes(0, -1) > 1e-5


@extreme_logits.few_examples
@hypothesis.given(extreme_logits.ensembles())
def test_sums_and_figures(drawn):
  logits, labels = drawn
  want, mean, votes = _reference(logits, labels)
  sums = metrics.sufficient_statistics(logits, labels)
  figures = metrics.compute_metrics(sums)
  assert all(np.isfinite(value) for value in figures.values())
  clear_votes = _is_clear(
    scipy.special.softmax(extreme_logits.in_float64(logits), axis=-1)
  )
  for name, values in want.items():
    if name == 'disagreement' and not clear_votes.all():
      continue
    extreme_logits.assert_near(sums[name], values.sum(), len(labels), name)
    if name in figures:
      extreme_logits.assert_near(figures[name], values.mean(), 1, name)
  assert set(figures) - set(want) == {'accuracy', 'ece', 'member_accuracy'}
  assert float(sums['count']) == len(labels)
  confidence, hit = mean.max(-1), mean.argmax(-1) == labels
  extreme_logits.assert_near(
    np.sum(sums['bin_confidence']), confidence.sum(), len(labels)
  )
  if clear_votes.all():
    np.testing.assert_array_equal(
      sums['member_correct'], np.sum(votes == labels, -1)
    )
  if not _is_clear(mean).all():
    return
  assert float(figures['accuracy']) == np.float32(np.mean(hit))
  if np.all(np.abs(confidence * _BINS - np.round(confidence * _BINS)) > 1e-4):
    place = np.minimum(confidence * _BINS, _BINS - 1).astype(int)
    gaps = np.bincount(place, hit - confidence, minlength=_BINS)
    extreme_logits.assert_near(figures['ece'], np.abs(gaps).sum() / len(labels))


@extreme_logits.few_examples
@hypothesis.given(extreme_logits.ensembles())
def test_scores_of_examples(drawn):
  logits, labels = drawn
  _, mean, _ = _reference(logits, labels)
  scores = metrics.example_scores(logits, labels)
  extreme_logits.assert_near(scores['confidence'], mean.max(-1))
  extreme_logits.assert_near(
    scores['entropy'], scipy.stats.entropy(mean, axis=-1)
  )
  clear = _is_clear(mean)
  np.testing.assert_array_equal(
    scores['correct'].numpy()[clear], (mean.argmax(-1) == labels)[clear]
  )


def _all_orders(confidence):
  """Yields all orders of examples from the surest on; ties go in any order."""
  for order in itertools.permutations(range(len(confidence))):
    if all(np.diff(confidence[list(order)]) <= 0):
      yield list(order)


@extreme_logits.few_examples
@hypothesis.given(
  st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 1.0]), st.booleans()),
    min_size=1,
    max_size=5,
  ),
  st.integers(1, 4),
)
def test_rankings(examples, bins):
  confidence, correct = (np.array(values) for values in zip(*examples))
  risks = [
    np.mean(np.cumsum(~correct[order]) / np.arange(1, len(order) + 1))
    for order in _all_orders(confidence)
  ]
  extreme_logits.assert_near(ranking.aurc(confidence, correct), np.mean(risks))
  wins = [
    (a > b) + (a == b) / 2
    for a in confidence[correct]
    for b in confidence[~correct]
  ]
  area = ranking.auroc(confidence, correct)
  if wins:
    extreme_logits.assert_near(area, np.mean(wins))
  else:
    assert np.isnan(area)
  if len(set(confidence)) == len(confidence):
    order = np.argsort(confidence)
    gaps = [
      abs(np.sum(part))
      for part in np.array_split((correct - confidence)[order], bins)
    ]
    extreme_logits.assert_near(
      ranking.adaptive_ece(confidence, correct, bins),
      np.sum(gaps) / len(order),
    )
