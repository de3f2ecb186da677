"""Calibration errors: gaps between confidence and accuracy over bins."""

from __future__ import annotations

from uncertainty_distill import errors

import numpy as np
import tensorflow as tf

# How close to a border counts as on the border, in bin widths. Rounding in
# float32 is ten times smaller. With fewer than 10,000 members, no share of
# their votes is this close to a border without being on the border.
_BORDER = 1e-4
# The names of the sums over each bin: the number of examples, the sum of their
# confidences, and the number of correct examples.
BINS = ('bin_count', 'bin_confidence', 'bin_correct')


def calibration_bins(
  confidence: tf.Tensor,
  correct: tf.Tensor,
  weights: tf.Tensor,
  num_bins: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Sums of weight, confidence and hits over equal-width bins of confidence.

  Bin i holds the confidences in [i/num_bins, (i+1)/num_bins); a confidence of
  1 is in the last bin. A confidence that is less than 1e-4 of a bin's width
  below a border counts as on the border. For example, 4 of 5 members' votes are
  on the border 12/15, and rounding could put this share on either side. The
  sums of several batches can be added.

  Args:
    confidence: Float tensor [B], the probability of the predicted class.
    correct: Float tensor [B], 1 where the predicted class is the label, or 0.
    weights: Float tensor [B], how often each example counts.
    num_bins: The number of bins, at least 1.

  Returns:
    Float tensors [num_bins]: the weighted count of examples, the weighted
    sum of their confidences, and the weighted count of correct examples.

  Raises:
    InputError: If `num_bins` is below 1.
  """
  if num_bins < 1:
    raise errors.InputError('num_bins', num_bins, 'at least 1')
  index = tf.cast(tf.floor(confidence * num_bins + _BORDER), tf.int32)
  index = tf.clip_by_value(index, 0, num_bins - 1)
  # Not a matrix product: TPUs and GPUs may reduce the precision of its factors.
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
  """Splits the ECE into overconfidence and underconfidence.

  Args:
    bin_count: The number of examples in each bin, [num_bins].
    bin_confidence: The sum of the confidences in each bin, [num_bins].
    bin_correct: The number of correct examples in each bin, [num_bins].

  Returns:
    `overconfidence`, sum_i max(confidence_i - correct_i, 0) / N with the sums
    of each bin i, and `underconfidence`, the same with correct_i -
    confidence_i. They add up to the ECE. Both are NaN if there are no examples.
  """
  with np.errstate(invalid='ignore'):  # 0 / 0 is NaN if there are no examples.
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
  """Sums probability minus label for each class and bin of its probability.

  The classwise ECE follows from these sums. The sums of several batches can be
  added.

  Args:
    probs: Float tensor [B, K].
    labels: Integer tensor [B].
    weights: Float tensor [B], how often each example counts.
    num_bins: The number of equal-width bins of each class's probability, with
      the borders of `calibration_bins`.

  Returns:
    The sums [K, num_bins].
  """
  is_label = tf.one_hot(labels, probs.shape[-1], dtype=probs.dtype)
  weights = tf.cast(weights, probs.dtype)[:, tf.newaxis]
  nothing = tf.zeros_like(probs)
  # A weight of 0 is not enough: 0 times NaN is NaN.
  gaps = tf.where(weights > 0, (probs - is_label) * weights, nothing)
  index = tf.cast(tf.floor(probs * num_bins + _BORDER), tf.int32)
  index = tf.clip_by_value(index, 0, num_bins - 1)
  # One bin at a time: all bins at once would take num_bins times the memory.
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
  classes k and the bins i of their probability. This is the static calibration
  error of Nixon et al. (2019, "Measuring Calibration in Deep Learning",
  equation 2) and the classwise ECE of Kull et al. (2019). All probabilities of
  an image count and most of them are near 0, so the classwise ECE is smaller
  than the ECE. Kumar et al. (2019) use squared gaps instead.

  Args:
    gaps: The sum of `class_gaps` over all examples, [K, num_bins].
    count: The number of examples N.
  """
  return float(np.abs(gaps).sum() / len(gaps) / count)


def expected_calibration_error(
  bin_count: tf.Tensor, bin_confidence: tf.Tensor, bin_correct: tf.Tensor
) -> tf.Tensor:
  """The gap between accuracy and mean confidence, averaged over the examples.

  ECE = sum_i n_i/N |accuracy_i - confidence_i| over the bins i (Guo et al.
  2017, "On Calibration of Modern Neural Networks", equation 3). In terms of
  each bin's sums, it is sum_i |correct_i - confidence_i| / N, so empty bins add
  nothing.

  Args:
    bin_count: The number of examples in each bin, float tensor [num_bins].
    bin_confidence: The sum of the confidences in each bin, float tensor
      [num_bins].
    bin_correct: The number of correct examples in each bin, float tensor
      [num_bins].

  Returns:
    Float scalar in [0, 1], NaN if there are no examples.
  """
  gaps = tf.reduce_sum(tf.abs(bin_correct - bin_confidence))
  return gaps / tf.reduce_sum(bin_count)
