"""Tests of the penalty that draws alpha and gamma to ones."""

from uncertainty_distill import losses

import pytest
import tensorflow as tf


def test_the_distance_by_hand():
  alpha = tf.Variable([[1.0, 2.0], [0.5, 1.0]])
  gamma = tf.Variable([[1.0], [-1.0]])
  with tf.GradientTape() as tape:
    value = losses.distance_to_ones([alpha, gamma], 2)
  # (1 + 1/4 + 4) / 2
  assert float(value) == pytest.approx(2.625)
  of_alpha, of_gamma = tape.gradient(value, [alpha, gamma])
  assert of_alpha.numpy().tolist() == [[0.0, 1.0], [-0.5, 0.0]]
  assert of_gamma.numpy().tolist() == [[0.0], [-2.0]]
