"""Tests of likelihoods that underflow, and of labels that are no classes."""

import math

from uncertainty_distill.metrics import likelihood

import numpy as np
import pytest
import tensorflow as tf


def _log(probs):
  return tf.math.log(tf.constant(probs, tf.float32))


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
