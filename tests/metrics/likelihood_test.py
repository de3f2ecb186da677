"""Tests of the proper scores by hand and against scikit-learn."""

import math

from uncertainty_distill.metrics import likelihood

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import tensorflow as tf


def _log(probs):
  return tf.math.log(tf.constant(probs, tf.float32))


def _random(members, examples, classes):
  generator = np.random.default_rng(0)
  logits = generator.normal(size=(members, examples, classes)) * 2
  labels = generator.integers(classes - 1, size=examples)
  return scipy.special.log_softmax(logits, axis=-1), labels.astype(np.int32)


def test_by_hand():
  members = _log([[[0.2, 0.8]], [[0.6, 0.4]]])
  labels = tf.constant([1])
  mean = likelihood.mean_log_probs(members)
  np.testing.assert_allclose(tf.exp(mean), [[0.4, 0.6]], rtol=1e-6)
  np.testing.assert_allclose(
    likelihood.negative_log_likelihood(mean, labels), [-math.log(0.6)]
  )
  np.testing.assert_allclose(
    likelihood.gibbs_negative_log_likelihood(members, labels),
    [-0.5 * math.log(0.8 * 0.4)],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    likelihood.brier_score(tf.exp(mean), labels), [0.4**2 + 0.4**2], rtol=1e-6
  )


def test_equals_sklearn():
  # No label is the last class.
  members, labels = _random(3, 200, 5)
  probs = np.exp(members).mean(axis=0)
  classes = range(5)
  mean = likelihood.mean_log_probs(tf.constant(members, tf.float32))
  np.testing.assert_allclose(
    np.mean(likelihood.negative_log_likelihood(mean, labels)),
    sklearn.metrics.log_loss(labels, probs, labels=classes),
    rtol=1e-5,
  )
  gibbs = likelihood.gibbs_negative_log_likelihood(
    tf.constant(members, tf.float32), labels
  )
  np.testing.assert_allclose(
    np.mean(gibbs),
    np.mean(
      [
        sklearn.metrics.log_loss(labels, np.exp(member), labels=classes)
        for member in members
      ]
    ),
    rtol=1e-5,
  )
  # The score of many classes is the sum of each class's score against the rest.
  one_against_rest = [
    sklearn.metrics.brier_score_loss(labels == k, probs[:, k]) for k in classes
  ]
  np.testing.assert_allclose(
    np.mean(likelihood.brier_score(tf.exp(mean), labels)),
    np.sum(one_against_rest),
    rtol=1e-5,
  )


def test_mean_of_probabilities_that_underflow():
  members = tf.constant([[[0.0, -300.0, -1e4]], [[0.0, -200.0, -2e4]]])
  np.testing.assert_allclose(
    likelihood.mean_log_probs(members),
    [[0.0, -200.0 - math.log(2), -1e4 - math.log(2)]],
    rtol=1e-6,
  )


@pytest.mark.parametrize('label', [-1, 3])
def test_a_label_that_is_no_class_is_not_scored(label):
  arguments = _log([[0.5, 0.25, 0.25]]), tf.constant([label])
  with pytest.raises(tf.errors.InvalidArgumentError, match='label'):
    likelihood.negative_log_likelihood(*arguments)
  compiled = tf.function(likelihood.negative_log_likelihood, jit_compile=True)
  assert np.isnan(compiled(*arguments)).all()
