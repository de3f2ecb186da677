"""The gap between confidence and accuracy, by bins of the confidence."""

from __future__ import annotations

from uncertainty_distill import errors

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
