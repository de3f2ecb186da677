"""Scores of each example by itself; `ranking` compares examples."""

from __future__ import annotations

from uncertainty_distill.metrics import likelihood

import numpy as np
import tensorflow as tf


def example_scores(
  logits: tf.Tensor | np.ndarray, labels: tf.Tensor | np.ndarray
) -> dict[str, tf.Tensor]:
  """Scores each example by the members' mean probabilities.

  The predicted class is as in `sufficient_statistics`: the most probable one,
  the first of those that tie.

  Args:
    logits: Float tensor [E,B,K]; computed with in float64 or float32.
    labels: Integer tensor [B].

  Returns:
    Float tensors [B]: `confidence`, the predicted class's probability;
    `correct`, 1 where it is the label, or 0; `entropy` of the probabilities, in
    nats.
  """
  log_probs = likelihood.mean_log_probs(likelihood.log_softmax(logits))
  probs = tf.exp(log_probs)
  return {
    'confidence': tf.reduce_max(probs, axis=-1),
    'correct': hits(probs, tf.cast(labels, tf.int32)),
    'entropy': entropy(probs),
  }


def entropy(probs: tf.Tensor) -> tf.Tensor:
  """Entropy over the last axis, -sum_k p_k log p_k.

  Args:
    probs: Float32 tensor [...,K].

  Returns:
    Float32 tensor [...], in nats.
  """
  # Not xlogy, which TensorFlow Lite lacks; a probability of 0 adds 0 this way
  # as well.
  logs = tf.math.log(tf.maximum(probs, 1e-30))
  return -tf.reduce_sum(probs * logs, axis=-1)


def hits(scores: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """1.0 where the highest of scores [...,B,K] is the label's, else 0.0."""
  predicted = tf.argmax(scores, axis=-1, output_type=tf.int32)
  return tf.cast(tf.equal(predicted, labels), scores.dtype)
