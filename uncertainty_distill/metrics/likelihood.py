"""Proper scores of an ensemble's probabilities: likelihoods and Brier score."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def ensemble_nll(member_log_probs: np.ndarray, labels: np.ndarray) -> float:
  """Mean NLL of the members' mean probabilities, in NumPy and float64.

  It takes all held-out examples at once; the functions below take batches.

  Args:
    member_log_probs: [E,N,K].
    labels: Integers [N], classes in [0, K).

  Returns:
    The NLL in nats per example; NaN if a label's log-probability is NaN.
  """
  of_labels = member_log_probs[:, np.arange(len(labels)), labels]
  total = np.logaddexp.reduce(of_labels.astype(np.float64))
  return float(np.log(len(of_labels)) - np.mean(total))


def log_softmax(logits: tf.Tensor | np.ndarray) -> tf.Tensor:
  """Returns the logarithms of each member's probabilities.

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Tensor [E,B,K], float64 if the logits are, else float32.
  """
  if logits.dtype != tf.float64:
    logits = tf.cast(logits, tf.float32)
  return tf.nn.log_softmax(logits)


def finite_log(
  probs: tf.Tensor | np.ndarray,
) -> tf.Tensor | np.ndarray:
  """Returns log(p + 1e-30): logits that are finite even for p = 0.

  Args:
    probs: A tensor or an array of any shape, float32 or float64.
  """
  log = np.log if isinstance(probs, np.ndarray) else tf.math.log
  return log(probs + 1e-30)


def mean_log_probs(member_log_probs: tf.Tensor) -> tf.Tensor:
  """Logarithm of the members' mean probabilities, log(1/E sum_e p_e).

  Args:
    member_log_probs: Float tensor [E,B,K].

  Returns:
    Float tensor [B,K], finite even where all members' probabilities underflow.
  """
  members = tf.cast(tf.shape(member_log_probs)[0], member_log_probs.dtype)
  return tf.reduce_logsumexp(member_log_probs, axis=0) - tf.math.log(members)


def negative_log_likelihood(
  log_probs: tf.Tensor, labels: tf.Tensor
) -> tf.Tensor:
  """Returns -log p_label of each example.

  Args:
    log_probs: Float tensor [B,K], or [E,B,K] for members.
    labels: Int32 tensor [B]. A label outside [0, K) raises on the CPU and
      gives NaN on other devices and under XLA.

  Returns:
    Float tensor [B] or [E,B], in nats.
  """
  labels = tf.broadcast_to(labels, tf.shape(log_probs)[:-1])
  # Log-probabilities are their own logits. Unlike a product with one-hot
  # labels, this operation gives no score to a label that is not a class.
  return tf.nn.sparse_softmax_cross_entropy_with_logits(
    labels=labels, logits=log_probs
  )


def gibbs_negative_log_likelihood(
  member_log_probs: tf.Tensor, labels: tf.Tensor
) -> tf.Tensor:
  """Mean of the members' NLLs, 1/E sum_e -log p_e,label.

  By Jensen's inequality, this mean is at least the NLL of the mean prediction.

  Args:
    member_log_probs: Float tensor [E,B,K].
    labels: Int32 tensor [B], as for `negative_log_likelihood`.

  Returns:
    Float tensor [B], in nats.
  """
  member_nll = negative_log_likelihood(member_log_probs, labels)
  return tf.reduce_mean(member_nll, axis=0)


def brier_score(probs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Returns sum_k (p_k - y_k)^2 with the one-hot label y (Brier 1950).

  Args:
    probs: Float tensor [B,K].
    labels: Int32 tensor [B], classes in [0, K).

  Returns:
    Float tensor [B] in [0, 2].
  """
  targets = tf.one_hot(labels, tf.shape(probs)[-1], dtype=probs.dtype)
  return tf.reduce_sum(tf.square(probs - targets), axis=-1)
