"""Tests of examples' scores by hand and against sums over the examples."""

from uncertainty_distill import metrics

import numpy as np
import pytest
import tensorflow as tf


def test_scores_by_hand():
  probs = np.array(
    [
      [[0.8, 0.2], [0.5, 0.5], [1.0, 0.0]],
      [[0.4, 0.6], [0.5, 0.5], [1.0, 0.0]],
    ]
  )
  with np.errstate(divide='ignore'):
    scores = metrics.example_scores(np.log(probs), [1, 0, 1])
  # The mean predictions are (.6, .4), (.5, .5) and (1, 0).
  np.testing.assert_allclose(scores['confidence'], [0.6, 0.5, 1.0], rtol=1e-6)
  np.testing.assert_array_equal(scores['correct'], [0.0, 1.0, 0.0])
  np.testing.assert_allclose(
    scores['entropy'], [0.673012, np.log(2), 0.0], rtol=1e-5
  )
  # The members' entropies of the first example are .500402 and .673012.
  np.testing.assert_allclose(
    scores['mutual_information'], [0.086305, 0, 0], rtol=1e-5, atol=1e-9
  )


def test_entropy_of_probabilities_of_0_and_below_the_least_float():
  probs = tf.constant([[0.0, 1.0], [1e-38, 1.0], [0.5, 0.5]])
  np.testing.assert_allclose(
    metrics.entropy(probs), [0.0, 0.0, np.log(2)], rtol=1e-6, atol=1e-35
  )
  assert np.isnan(metrics.entropy(tf.constant([np.nan, 0.5])))


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16])
def test_scores_add_up_to_the_statistics(dtype):
  rng = np.random.default_rng(0)
  logits = tf.cast(rng.normal(size=[3, 64, 5]), dtype)
  labels = tf.constant(rng.integers(0, 5, 64))
  scores = metrics.example_scores(logits, labels)
  sums = metrics.sufficient_statistics(logits, labels)
  np.testing.assert_allclose(tf.reduce_sum(scores['correct']), sums['correct'])
  np.testing.assert_allclose(
    tf.reduce_sum(scores['confidence']),
    tf.reduce_sum(sums['bin_confidence']),
    rtol=1e-6,
  )
  assert {value.dtype for value in scores.values()} == {tf.float32}
