"""Tests of the measures of diversity by hand, by loops and at extremes."""

import itertools
import math

from uncertainty_distill import metrics
from uncertainty_distill.metrics import diversity, likelihood

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

_LOG2 = math.log(2)


def _random(members, examples=40, classes=5, scale=2.0, seed=0):
  generator = np.random.default_rng(seed)
  logits = generator.normal(size=(members, examples, classes)) * scale
  labels = generator.integers(classes, size=examples)
  return logits.astype(np.float32), labels.astype(np.int32)


def _by_pairs(logits, labels):
  """Computes the measures in float64 by loops over members and pairs."""
  members = scipy.special.softmax(logits.astype(np.float64), axis=-1)
  pairs = list(itertools.permutations(range(len(members)), 2))
  want = []
  for b, label in enumerate(labels):
    probs = members[:, b]
    mean = probs.mean(axis=0)
    entropies = [scipy.stats.entropy(p) for p in probs]
    right = probs[:, label]
    want.append(
      (
        np.mean([probs[i].argmax() != probs[j].argmax() for i, j in pairs]),
        np.mean([scipy.stats.entropy(probs[i], probs[j]) for i, j in pairs]),
        scipy.stats.entropy(mean) - np.mean(entropies),
        np.mean((right - mean[label]) ** 2) / (2 * right.max() ** 2),
      )
    )
  return dict(zip(metrics.DIVERSITY, np.transpose(want), strict=True))


def _assert_close(got, want, rtol=1e-5, atol=1e-7):
  assert tuple(got) == tuple(want) == metrics.DIVERSITY
  for name in want:
    np.testing.assert_allclose(
      got[name], want[name], rtol=rtol, atol=atol, err_msg=name
    )


def test_two_members_by_hand():
  probs = [[[1 / 2, 1 / 4, 1 / 4]], [[1 / 4, 1 / 2, 1 / 4]]]
  logits = tf.math.log(probs)
  got = diversity.example_diversity(logits, tf.constant([0]))
  mean_entropy = 2 * 3 / 8 * math.log(8 / 3) + 1 / 4 * math.log(4)
  want = {
    'disagreement': [1.0],
    # Both divergences are log(2)/2 - log(2)/4.
    'pairwise_kl': [_LOG2 / 4],
    # Each member has the entropy 3/2 log 2.
    'mutual_information': [mean_entropy - 1.5 * _LOG2],
    # The probabilities 1/2 and 1/4 around 3/8, relative to the largest, 1/2.
    'masegosa_variance': [(1 / 8) ** 2 / (2 * (1 / 2) ** 2)],
  }
  _assert_close(got, want, rtol=1e-6)


@pytest.mark.parametrize(
  'votes, share',
  [([0, 0, 0], 0), ([0, 0, 1], 2 / 3), ([0, 1, 2], 1), ([0, 0, 1, 1], 4 / 6)],
)
def test_disagreement_counts_pairs(votes, share):
  logits = np.eye(3)[votes][:, np.newaxis]
  np.testing.assert_allclose(diversity.disagreement(logits), [share], rtol=1e-6)


@pytest.mark.parametrize('members', [2, 3, 4, 7])
@pytest.mark.parametrize('scale', [0.1, 2.0, 8.0])
def test_equals_loops_over_pairs(members, scale):
  logits, labels = _random(members, scale=scale)
  got = diversity.example_diversity(logits, labels)
  _assert_close(got, _by_pairs(logits, labels))


def test_small_differences_keep_their_digits():
  logits = np.float32([[[4.0, 1.0, 0.0]], [[4.001, 1.0, 0.0]]])
  labels = np.array([0])
  got = diversity.pairwise_kl(logits)
  want = _by_pairs(logits, labels)['pairwise_kl']
  # The value is 6e-8, about the rounding error of the float32 logarithms.
  np.testing.assert_allclose(got, want, rtol=0.01)


@pytest.mark.parametrize('scale', [1.0, 1e4])
@pytest.mark.parametrize('jit', [False, True])
def test_a_single_network_has_none(scale, jit):
  logits, labels = _random(1, scale=scale)
  logits[0, 0, 0] = -np.inf
  measure = tf.function(diversity.example_diversity, jit_compile=jit)
  for name, values in measure(logits, labels).items():
    np.testing.assert_array_equal(values, np.zeros(40), err_msg=name)


@pytest.mark.parametrize('members', [2, 3, 4])
@pytest.mark.parametrize('value', [0.0, 1e4, -1e4])
def test_members_that_agree_have_none(members, value):
  logits = np.full([members, 1, 4], value, np.float32)
  logits[:, :, 1] += [[-1.0]]
  got = diversity.example_diversity(logits, np.array([2]))
  _assert_close(got, dict.fromkeys(metrics.DIVERSITY, [0.0]), atol=1e-6)


@pytest.mark.parametrize('jit', [False, True])
def test_extreme_logits(jit):
  logits = tf.constant([[[1e4, -1e4]], [[-1e4, 1e4]]])
  measure = tf.function(diversity.example_diversity, jit_compile=jit)
  for label in 0, 1:
    _assert_close(
      measure(logits, tf.constant([label])),
      {
        'disagreement': [1.0],
        'pairwise_kl': [2e4],
        'mutual_information': [_LOG2],
        'masegosa_variance': [1 / 8],
      },
    )


def test_label_that_every_member_rules_out():
  # Probabilities e^-1000 and e^-1001 are 0 in any float; their ratio is not.
  logits = tf.constant([[[1000.0, 0.0]], [[1001.0, 0.0]]])
  ratio = math.exp(-1)
  got = diversity.masegosa_variance(logits, tf.constant([1]))
  np.testing.assert_allclose(got, [((1 - ratio) / 2) ** 2 / 2], rtol=1e-5)


def test_classes_without_probability():
  inf = math.inf
  # In the first example both members exclude class 0, in the second only one.
  logits = tf.constant(
    [[[-inf, 0, 0], [0, 0, 0]], [[-inf, 0, _LOG2], [-inf, 0, 0]]]
  )
  got = diversity.example_diversity(logits, tf.constant([0, 0]))
  two = diversity.example_diversity(logits[:, :1, 1:], tf.constant([0]))
  for name in 'pairwise_kl', 'mutual_information':
    np.testing.assert_allclose(got[name][0], two[name][0], rtol=1e-6)
  assert got['pairwise_kl'][1] == inf
  assert 0 < got['mutual_information'][1] < _LOG2
  np.testing.assert_array_equal(got['masegosa_variance'], [0.0, 1 / 8])


@pytest.mark.parametrize('dtype', [tf.bfloat16, tf.float16])
def test_computes_in_float32(dtype):
  logits, labels = _random(3)
  logits = tf.cast(logits, dtype)
  got = diversity.example_diversity(logits, tf.cast(labels, tf.uint8))
  assert {value.dtype for value in got.values()} == {tf.float32}
  _assert_close(got, _by_pairs(tf.cast(logits, tf.float32).numpy(), labels))


def test_what_the_theory_says():
  logits, labels = _random(4, examples=500)
  got = diversity.example_diversity(logits, labels)
  scores = metrics.example_scores(logits, labels)
  np.testing.assert_allclose(
    got['mutual_information'],
    scores['entropy'] - np.mean(metrics.entropy(tf.nn.softmax(logits)), 0),
    atol=1e-6,
  )
  assert np.all(got['mutual_information'] <= got['pairwise_kl'])
  log_probs = tf.nn.log_softmax(logits)
  nll = likelihood.negative_log_likelihood(
    likelihood.mean_log_probs(log_probs), labels
  )
  gibbs = likelihood.gibbs_negative_log_likelihood(log_probs, labels)
  # Masegosa's second-order Jensen inequality, example by example.
  assert np.all(nll <= gibbs - got['masegosa_variance'] + 1e-6)
