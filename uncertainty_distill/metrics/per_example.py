"""Scores of single examples; `ranking` compares examples with each other."""

from __future__ import annotations

from uncertainty_distill.metrics import diversity, likelihood

import numpy as np
import tensorflow as tf


def example_scores(
  logits: tf.Tensor | np.ndarray, labels: tf.Tensor | np.ndarray
) -> dict[str, tf.Tensor]:
  """Scores each example by the members' mean probabilities.

  The predicted class is as in `sufficient_statistics`: the most probable class,
  or the first of several equally probable classes.

  Args:
    logits: Float tensor [E,B,K]. The computation is in float64 if the logits
      are, else in float32.
    labels: Integer tensor [B].

  Returns:
    Float tensors [B]: `confidence`, the predicted class's probability;
    `correct`, 1 if the predicted class is the label, else 0; `entropy`, the
    entropy of the mean probabilities in nats; and `mutual_information`, the
    part of it that comes from the differences between members.
  """
  log_probs = likelihood.mean_log_probs(likelihood.log_softmax(logits))
  probs = tf.exp(log_probs)
  return {
    'confidence': tf.reduce_max(probs, axis=-1),
    'correct': hits(probs, tf.cast(labels, tf.int32)),
    'entropy': entropy(probs),
    'mutual_information': diversity.mutual_information(logits),
  }


def entropy(probs: tf.Tensor) -> tf.Tensor:
  """Entropy over the last axis, -sum_k p_k log p_k.

  Args:
    probs: Float tensor [...,K].

  Returns:
    Float tensor [...], in nats.
  """
  # Not xlogy, which TensorFlow Lite lacks. With the maximum, a probability of 0
  # adds 0, too.
  logs = tf.math.log(tf.maximum(probs, 1e-30))
  return -tf.reduce_sum(probs * logs, axis=-1)


def hits(scores: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Returns 1 where the label has the highest score, else 0.

  Args:
    scores: [...,B,K].
    labels: Int32 [B].

  Returns:
    [...,B], of the type of the scores.
  """
  predicted = tf.argmax(scores, axis=-1, output_type=tf.int32)
  return tf.cast(tf.equal(predicted, labels), scores.dtype)
