"""The gap between confidence and accuracy, by bins of the confidence."""

from __future__ import annotations

from uncertainty_distill import errors

import numpy as np
import tensorflow as tf

# In widths of a bin. Rounding in float32 is ten times smaller, and no fraction
# of fewer than 10,000 members' votes lies as near to a border without being on
# it.
_BORDER = 1e-4
# The sums over each bin: of examples, of their confidences, of correct ones.
BINS = ('bin_count', 'bin_confidence', 'bin_correct')


def calibration_bins(
  confidence: tf.Tensor,
  correct: tf.Tensor,
  weights: tf.Tensor,
  num_bins: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Sums of weight, confidence and hits over equal-width bins of confidence.

  Bin i holds the confidences in [i/num_bins, (i+1)/num_bins); a confidence of
  1 is in the last bin. One that is less than 1e-4 of a bin's width below a
  border counts as on it: members' votes such as 4 of 5 are on the border 12/15,
  and rounding would put them on either side. The sums of two batches add up to
  those of both.

  Args:
    confidence: Float tensor [B], the probability of the predicted class.
    correct: Float tensor [B], 1 where the predicted class is the label, or 0.
    weights: Float tensor [B], how often each example counts.
    num_bins: The number of bins, at least 1.

  Returns:
    Float tensors [num_bins]: the weighted count of examples, the weighted
    sum of their confidences, the weighted count of correct ones.

  Raises:
    InputError: If there is no bin.
  """
  if num_bins < 1:
    raise errors.InputError('num_bins', num_bins, 'at least 1')
  index = tf.cast(tf.floor(confidence * num_bins + _BORDER), tf.int32)
  index = tf.clip_by_value(index, 0, num_bins - 1)
  # Not a matrix product: TPUs and GPUs may shorten the factors of those.
  membership = tf.one_hot(index, num_bins, dtype=weights.dtype)
  membership *= weights[:, tf.newaxis]
  return (
    tf.reduce_sum(membership, axis=0),
    tf.reduce_sum(membership * confidence[:, tf.newaxis], axis=0),
    tf.reduce_sum(membership * correct[:, tf.newaxis], axis=0),
  )


def confidence_gaps(
  bin_count: np.ndarray, bin_confidence: np.ndarray, bin_correct: np.ndarray
) -> dict[str, float]:
  """Splits the ECE into its two directions.

  Args:
    bin_count: [num_bins], examples in each bin.
    bin_confidence: [num_bins], sums of their confidences.
    bin_correct: [num_bins], how many of them are correct.

  Returns:
    `overconfidence`, sum_i max(confidence_i - correct_i, 0) / N over the sums
    of the bins i, and `underconfidence`, the same of the opposite gaps; their
    sum is the ECE. Both are NaN without any example.
  """
  with np.errstate(invalid='ignore'):  # 0 / 0 is NaN, as is said above.
    gaps = np.subtract(bin_confidence, bin_correct) / np.sum(bin_count)
  return {
    'overconfidence': float(np.maximum(gaps, 0).sum()),
    'underconfidence': float(np.maximum(-gaps, 0).sum()),
  }


def class_gaps(
  probs: tf.Tensor,
  labels: tf.Tensor | np.ndarray,
  weights: tf.Tensor,
  num_bins: int = 15,
) -> tf.Tensor:
  """Sums of probability minus label, by class and bins of its probability.

  The classwise ECE follows from them; those of two batches add up.

  Args:
    probs: Float tensor [B, K].
    labels: Integer tensor [B].
    weights: Float tensor [B], how often each example counts.
    num_bins: The number of equal-width bins of each class's probability; their
      borders are those of `calibration_bins`.

  Returns:
    [K, num_bins].
  """
  is_label = tf.one_hot(labels, probs.shape[-1], dtype=probs.dtype)
  weights = tf.cast(weights, probs.dtype)[:, tf.newaxis]
  nothing = tf.zeros_like(probs)
  # A weight of 0 alone would not do: 0 times NaN is NaN.
  gaps = tf.where(weights > 0, (probs - is_label) * weights, nothing)
  index = tf.cast(tf.floor(probs * num_bins + _BORDER), tf.int32)
  index = tf.clip_by_value(index, 0, num_bins - 1)
  # Bin by bin: all at once would take as many times the memory of the batch.
  return tf.stack(
    [
      tf.reduce_sum(tf.where(index == bin_, gaps, nothing), axis=0)
      for bin_ in range(num_bins)
    ],
    axis=-1,
  )


def classwise_calibration_error(gaps: np.ndarray, count: float) -> float:
  """The calibration error of each class's probability, averaged over classes.

  cw-ECE = 1/K sum_k sum_i n_ik/N |frequency_ik - mean probability_ik| over the
  classes k and the bins i of their probability: the static calibration error of
  Nixon et al. (2019, "Measuring Calibration in Deep Learning", equation 2), and
  the classwise ECE of Kull et al. (2019). All probabilities of an image count,
  most of them near 0, so that it is smaller than the ECE; Kumar et al. (2019)
  take squares instead, which this does not.

  Args:
    gaps: `class_gaps` of all examples, [K, num_bins].
    count: The number of examples N.
  """
  return float(np.abs(gaps).sum() / len(gaps) / count)


def expected_calibration_error(
  bin_count: tf.Tensor, bin_confidence: tf.Tensor, bin_correct: tf.Tensor
) -> tf.Tensor:
  """The gap between accuracy and mean confidence, averaged over the examples.

  ECE = sum_i n_i/N |accuracy_i - confidence_i| over the bins i (Guo et al.
  2017, "On Calibration of Modern Neural Networks", equation 3), which is
  sum_i |correct_i - confidence_i| / N in terms of each bin's sums: bins without
  examples add nothing. Without any example it is NaN.

  Args:
    bin_count: Float tensor [num_bins], examples in each bin.
    bin_confidence: Float tensor [num_bins], sums of their confidences.
    bin_correct: Float tensor [num_bins], how many of them are correct.

  Returns:
    Float scalar in [0, 1].
  """
  gaps = tf.reduce_sum(tf.abs(bin_correct - bin_confidence))
  return gaps / tf.reduce_sum(bin_count)
