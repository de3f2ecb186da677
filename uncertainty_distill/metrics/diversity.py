"""Measures of how much the members of an ensemble differ on each example.

All measures are 0 for a single network and for members that agree. No measure
needs a tensor of pairs of members [E,E,...]: sums over pairs follow from sums
over members. A compiled step computes the measures' shared parts, such as
`log_softmax`, only once.

A logit of minus infinity means that a class has probability 0. The pairwise KL
is infinite if the members disagree on which classes have probability 0.
"""

from __future__ import annotations

from uncertainty_distill.metrics import likelihood

import numpy as np
import tensorflow as tf


def example_diversity(
  logits: tf.Tensor, labels: tf.Tensor
) -> dict[str, tf.Tensor]:
  """Returns all measures of diversity for each example.

  Args:
    logits: Float tensor [E,B,K]. The computation is in float64 if the logits
      are, else in float32.
    labels: Integer tensor [B], classes in [0, K). Only `masegosa_variance`
      depends on the labels.

  Returns:
    Nonnegative tensors [B], float64 if the logits are, else float32; the keys
    are the names of this module's functions.
  """
  return {
    'disagreement': disagreement(logits),
    'pairwise_kl': pairwise_kl(logits),
    'mutual_information': mutual_information(logits),
    'masegosa_variance': masegosa_variance(logits, labels),
  }


def disagreement(logits: tf.Tensor) -> tf.Tensor:
  """The share of pairs of members whose most probable classes differ.

  This is the measure of Fort et al. (2019), "Deep Ensembles: A Loss Landscape
  Perspective", not divided by the error. If v_k members vote for class k, the
  share is (E^2 - sum_k v_k^2) / (E (E-1)). If classes tie, a member votes for
  the first of them.

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Float tensor [B] in [0, 1].
  """
  log_probs = likelihood.log_softmax(logits)
  members = _member_count(log_probs)
  classes = tf.argmax(log_probs, axis=-1, output_type=tf.int32)
  voted = tf.one_hot(classes, tf.shape(logits)[-1], dtype=log_probs.dtype)
  votes = tf.reduce_sum(voted, axis=0)
  agreeing = tf.reduce_sum(tf.square(votes), axis=-1)
  # A single member has no pairs: the numerator and the result are 0.
  return (members**2 - agreeing) / tf.maximum(members * (members - 1.0), 1.0)


def pairwise_kl(logits: tf.Tensor) -> tf.Tensor:
  """Mean Kullback-Leibler divergence over ordered pairs of members.

  The mean is 1/(E (E-1)) sum_{i != j} KL(p_i || p_j), which equals
  1/(E-1) sum_k sum_i (p_ik - mean_j p_jk) (log p_ik - mean_j log p_jk).

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Float tensor [B], in nats; at least the mutual information.
  """
  log_probs = likelihood.log_softmax(logits)
  probs = tf.exp(log_probs)
  mean_probs = tf.reduce_mean(probs, axis=0)
  mean_logs = tf.reduce_mean(log_probs, axis=0)
  # For each class, this is a covariance of the probability with its logarithm.
  # No class's term is negative, so no large terms cancel.
  by_class = tf.reduce_sum((probs - mean_probs) * (log_probs - mean_logs), 0)
  zeros = tf.zeros_like(mean_probs)
  infinite = tf.where(mean_probs > 0.0, zeros + float('inf'), zeros)
  by_class = tf.where(tf.math.is_inf(mean_logs), infinite, by_class)
  pairs = tf.maximum(_member_count(log_probs) - 1.0, 1.0)
  return tf.reduce_sum(by_class, axis=-1) / pairs


def mutual_information(logits: tf.Tensor | np.ndarray) -> tf.Tensor:
  """Entropy of the mean probabilities minus the members' mean entropy.

  This is the information that the label would give about which member is right
  (Houlsby et al. 2011, equation 2): the part of the predictive entropy that
  comes from the differences between members. It is computed as
  1/E sum_i KL(p_i || mean_j p_j), which is equal, because the difference of two
  entropies would lose the digits that they share.

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Float tensor [B], in nats, in [0, log min(E, K)].
  """
  log_probs = likelihood.log_softmax(logits)
  probs = tf.exp(log_probs)
  excess = log_probs - likelihood.mean_log_probs(log_probs)
  # Not multiply_no_nan, which TensorFlow Lite lacks.
  terms = tf.where(tf.equal(probs, 0.0), 0.0, excess * probs)
  divergence = tf.reduce_mean(tf.reduce_sum(terms, axis=-1), axis=0)
  return tf.maximum(divergence, 0.0)  # Only rounding makes it negative.


def masegosa_variance(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Variance of the label's probability, relative to its largest value.

  The value is 1/E sum_i (p_i - mean_j p_j)^2 / (2 max_j p_j^2), where p_i is
  member i's probability of the label. The second-order bound of Masegosa
  (2019), "Learning under Model Misspecification: Applications to Variational
  and Ensemble methods", subtracts this value from the mean of the members'
  NLLs. By that paper's second-order Jensen inequality

    nll <= gibbs_nll - masegosa_variance

  for every example. The paper takes the maximum over all weights of the
  network. Here the maximum is over the members, and the inequality still holds.

  Args:
    logits: Float tensor [E,B,K].
    labels: Integer tensor [B]. A label outside [0, K) raises on the CPU and
      gives NaN on other devices and under XLA.

  Returns:
    Float tensor [B] in [0, 1/8].
  """
  nll = likelihood.negative_log_likelihood(
    likelihood.log_softmax(logits), tf.cast(labels, tf.int32)
  )
  least = tf.reduce_min(nll, axis=0)
  # The ratios exist even if all probabilities underflow. If every member's NLL
  # is infinite, the members do not differ.
  ratios = tf.exp(tf.where(tf.equal(nll, least), 0.0, least - nll))
  deviations = ratios - tf.reduce_mean(ratios, axis=0)
  return 0.5 * tf.reduce_mean(tf.square(deviations), axis=0)


def _member_count(log_probs: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.shape(log_probs)[0], log_probs.dtype)
