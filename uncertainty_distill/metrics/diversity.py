"""Measures of how much the members of an ensemble differ, by example.

All are 0 for a single network and for members that agree. None holds a tensor
of pairs of members [E,E,...]: sums over pairs follow from sums over members.
A compiled step computes only once what they share, such as `log_softmax`.

A logit of minus infinity is a class without probability. Where the members do
not agree on which classes those are, the pairwise KL is infinite.
"""

from __future__ import annotations

from uncertainty_distill.metrics import likelihood

import numpy as np
import tensorflow as tf


def example_diversity(
  logits: tf.Tensor, labels: tf.Tensor
) -> dict[str, tf.Tensor]:
  """Returns every measure of diversity of each example.

  Args:
    logits: Float tensor [E,B,K]; computed with in float64 or float32.
    labels: Integer tensor [B], classes in [0, K); only `masegosa_variance`
      depends on them.

  Returns:
    Float32 tensors [B], none negative, under the names of this module's
    functions.
  """
  return {
    'disagreement': disagreement(logits),
    'pairwise_kl': pairwise_kl(logits),
    'mutual_information': mutual_information(logits),
    'masegosa_variance': masegosa_variance(logits, labels),
  }


def disagreement(logits: tf.Tensor) -> tf.Tensor:
  """The share of pairs of members whose most probable classes differ.

  The measure of Fort et al. (2019), "Deep Ensembles: A Loss Landscape
  Perspective", not divided by the error. With v_k members that vote for class k
  it is (E^2 - sum_k v_k^2) / (E (E-1)). Of classes that tie, a member votes for
  the first.

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Float32 tensor [B] in [0, 1].
  """
  log_probs = likelihood.log_softmax(logits)
  members = _member_count(log_probs)
  classes = tf.argmax(log_probs, axis=-1, output_type=tf.int32)
  voted = tf.one_hot(classes, tf.shape(logits)[-1], dtype=log_probs.dtype)
  votes = tf.reduce_sum(voted, axis=0)
  agreeing = tf.reduce_sum(tf.square(votes), axis=-1)
  # Without pairs the numerator is 0, and so is the result.
  return (members**2 - agreeing) / tf.maximum(members * (members - 1.0), 1.0)


def pairwise_kl(logits: tf.Tensor) -> tf.Tensor:
  """Mean Kullback-Leibler divergence over ordered pairs of members.

  1/(E (E-1)) sum_{i != j} KL(p_i || p_j), which is
  1/(E-1) sum_k sum_i (p_ik - mean_j p_jk) (log p_ik - mean_j log p_jk).

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Float32 tensor [B], in nats; at least the mutual information.
  """
  log_probs = likelihood.log_softmax(logits)
  probs = tf.exp(log_probs)
  mean_probs = tf.reduce_mean(probs, axis=0)
  mean_logs = tf.reduce_mean(log_probs, axis=0)
  # A covariance of the probability with its own logarithm, class by class: no
  # term is negative, so that nothing large cancels.
  by_class = tf.reduce_sum((probs - mean_probs) * (log_probs - mean_logs), 0)
  zeros = tf.zeros_like(mean_probs)
  infinite = tf.where(mean_probs > 0.0, zeros + float('inf'), zeros)
  by_class = tf.where(tf.math.is_inf(mean_logs), infinite, by_class)
  pairs = tf.maximum(_member_count(log_probs) - 1.0, 1.0)
  return tf.reduce_sum(by_class, axis=-1) / pairs


def mutual_information(logits: tf.Tensor | np.ndarray) -> tf.Tensor:
  """Entropy of the mean probabilities minus the members' mean entropy.

  What the label would tell about which member is right (Houlsby et al. 2011,
  equation 2): the part of the predictive entropy that is due to the members'
  differing. Computed as 1/E sum_i KL(p_i || mean_j p_j), which is the same,
  since the difference of two entropies would lose the digits they share.

  Args:
    logits: Float tensor [E,B,K].

  Returns:
    Float32 tensor [B], in nats, in [0, log min(E, K)].
  """
  log_probs = likelihood.log_softmax(logits)
  probs = tf.exp(log_probs)
  excess = log_probs - likelihood.mean_log_probs(log_probs)
  # Not multiply_no_nan, which TensorFlow Lite lacks.
  terms = tf.where(tf.equal(probs, 0.0), 0.0, excess * probs)
  divergence = tf.reduce_mean(tf.reduce_sum(terms, axis=-1), axis=0)
  return tf.maximum(divergence, 0.0)  # Rounding alone takes it below 0.


def masegosa_variance(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Variance of the label's probability, relative to its largest.

  1/E sum_i (p_i - mean_j p_j)^2 / (2 max_j p_j^2), where p_i is member i's
  probability of the label: what the second-order bound of Masegosa (2019),
  "Learning under Model Misspecification: Applications to Variational and
  Ensemble methods", subtracts from the mean of the members' NLLs. By that
  paper's second-order Jensen inequality

    nll <= gibbs_nll - masegosa_variance

  for every example. The paper's maximum is over all weights of the network;
  here it is over the members, for whom the inequality holds as well.

  Args:
    logits: Float tensor [E,B,K].
    labels: Integer tensor [B]. A label outside [0, K) raises on the CPU and
      gives NaN on other devices and under XLA.

  Returns:
    Float32 tensor [B] in [0, 1/8].
  """
  nll = likelihood.negative_log_likelihood(
    likelihood.log_softmax(logits), tf.cast(labels, tf.int32)
  )
  least = tf.reduce_min(nll, axis=0)
  # Probabilities that all underflow still have ratios. An infinite NLL of every
  # member is no difference between them.
  ratios = tf.exp(tf.where(tf.equal(nll, least), 0.0, least - nll))
  deviations = ratios - tf.reduce_mean(ratios, axis=0)
  return 0.5 * tf.reduce_mean(tf.square(deviations), axis=0)


def _member_count(log_probs: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.shape(log_probs)[0], log_probs.dtype)
