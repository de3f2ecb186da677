"""Sums over a batch of logits, and the metrics that follow from the sums.

The sums of batches, replicas and machines can be added. The metrics are
computed once, from the total.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uncertainty_distill import errors
from uncertainty_distill.metrics import (
  calibration,
  diversity,
  likelihood,
  metric_table,
  per_example,
)

import numpy as np
import tensorflow as tf
import tf_keras

_NUM_BINS = 15


def sufficient_statistics(
  logits: tf.Tensor | np.ndarray,
  labels: tf.Tensor | np.ndarray,
  mask: tf.Tensor | None = None,
  num_bins: int = _NUM_BINS,
) -> dict[str, tf.Tensor]:
  """Sums statistics over the examples of a batch.

  `gibbs_nll`, `member_correct` and the measures of diversity are statistics of
  the single members. All other statistics are of the members' mean
  probabilities. The predicted class is the most probable class, or the first of
  several equally probable classes. Its probability is the confidence.

  Args:
    logits: Float tensor [E,B,K]. The computation is in float64 if the logits
      are, else in float32.
    labels: Integer tensor [B]. A label outside [0, K) raises on the CPU and
      makes the likelihoods NaN on other devices and under XLA.
    mask: Bool or float tensor [B], how often each example counts. None counts
      each example once. Where the mask is 0, the logits and labels may have any
      value, even NaN.
    num_bins: The number of bins for the calibration error.

  Returns:
    Tensors of the type of the computation: the scalars `count` (examples),
    `correct`, `nll` (of the mean prediction, in nats), `gibbs_nll` (the mean of
    the members' NLLs, in nats), `brier`, and all names in
    `metric_table.DIVERSITY`; `member_correct` [E]; and for each bin of the
    confidence `bin_count`, `bin_confidence` and `bin_correct`, [num_bins].

  Raises:
    InputError: If a shape is not as above, or `num_bins` is below 1.
  """
  return _sums(*_padding_removed(logits, labels, mask), num_bins)


def compute_metrics(statistics: Mapping[str, Any]) -> dict[str, tf.Tensor]:
  """Computes metrics from the sums of `sufficient_statistics`.

  Args:
    statistics: The sums, as tensors, NumPy arrays or lists of numbers.

  Returns:
    Scalar tensors: `accuracy`, `ece` (expected calibration error), `nll` and
    `gibbs_nll` (nats per example), `brier`, and `member_accuracy` (the mean of
    the members' accuracies). If there are several members, also the means of
    the measures of diversity, `metric_table.DIVERSITY`. All are NaN if no
    example was counted.
  """
  sums = {key: tf.convert_to_tensor(value) for key, value in statistics.items()}
  count = sums['count']
  means = ['nll', 'gibbs_nll', 'brier']
  # A single network's diversity is 0, which would look like a finding.
  if sums['member_correct'].shape[0] != 1:
    means += metric_table.DIVERSITY
  return {
    'accuracy': sums['correct'] / count,
    'ece': calibration.expected_calibration_error(
      *[sums[name] for name in calibration.BINS]
    ),
    'member_accuracy': tf.reduce_mean(sums['member_correct'] / count),
    **{name: sums[name] / count for name in means},
  }


class ClassificationStatistics(tf_keras.metrics.Metric):
  """Accumulates `sufficient_statistics` over batches and replicas."""

  def __init__(self, ensemble_size: int):
    """Creates one variable per sum, all zero.

    Args:
      ensemble_size: E, the number of members in the logits.
    """
    super().__init__(name='statistics', dtype=tf.float32)
    self._ensemble_size = ensemble_size
    scalars = ('count', 'correct', 'nll', 'gibbs_nll', 'brier')
    shapes = {
      **dict.fromkeys((*scalars, *metric_table.DIVERSITY), ()),
      'member_correct': (ensemble_size,),
      **dict.fromkeys(calibration.BINS, (_NUM_BINS,)),
    }
    self._sums = {
      key: self.add_weight(name=key, shape=shape, initializer='zeros')
      for key, shape in shapes.items()
    }

  # Keras would let AutoGraph convert the method, which hides its errors' types.
  @tf.autograph.experimental.do_not_convert
  def update_state(
    self,
    logits: tf.Tensor,
    labels: tf.Tensor,
    mask: tf.Tensor | None = None,
  ) -> None:
    """Adds a batch; the arguments are those of `sufficient_statistics`.

    Args:
      logits: Float tensor [E,B,K].
      labels: Integer tensor [B].
      mask: Bool or float tensor [B], or None.

    Raises:
      InputError: If a shape is not as above, including E.
    """
    added = sufficient_statistics(logits, labels, mask)
    if not added['member_correct'].shape.is_compatible_with(
      [self._ensemble_size]
    ):
      raise errors.InputError(
        'logits',
        logits.shape,
        f'logits of {self._ensemble_size} members, the given ensemble size',
      )
    for key, variable in self._sums.items():
      variable.assign_add(tf.cast(added[key], variable.dtype))

  def statistics(self) -> dict[str, tf.Tensor]:
    """Returns the sums so far, under the names of `sufficient_statistics`.

    Outside of a replica, the sums are added over the replicas.
    """
    return {
      key: tf.convert_to_tensor(variable)
      for key, variable in self._sums.items()
    }

  @tf.autograph.experimental.do_not_convert
  def result(self) -> dict[str, tf.Tensor]:
    """Returns the metrics of all batches since the last reset, as scalars."""
    return compute_metrics(self.statistics())

  def reset_state(self) -> None:
    """Sets every sum to zero."""
    # The base class assigns scalars, which fails for the sums that are vectors.
    for variable in self._sums.values():
      variable.assign(tf.zeros(variable.shape, variable.dtype))


def _padding_removed(
  logits: tf.Tensor | np.ndarray,
  labels: tf.Tensor | np.ndarray,
  mask: tf.Tensor | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Checks shapes; returns float logits, int32 labels, float weights."""
  logits = tf.convert_to_tensor(logits)
  if logits.dtype != tf.float64:
    logits = tf.cast(logits, tf.float32)
  labels = tf.cast(labels, tf.int32)
  if logits.shape.rank != 3:
    raise errors.InputError(
      'logits', logits.shape, 'logits [members, examples, classes]'
    )
  if mask is None:
    weights = tf.ones(tf.shape(logits)[1:2], logits.dtype)
  else:
    weights = tf.cast(mask, logits.dtype)
  for name, vector in (('labels', labels), ('mask', weights)):
    if not vector.shape.is_compatible_with(logits.shape[1:2]):
      raise errors.InputError(
        name,
        vector.shape.as_list(),
        f'one value per example, shape {logits.shape.as_list()[1:2]}',
      )
  # A weight of 0 is not enough: 0 times NaN is NaN.
  counted = weights > 0.0
  logits = tf.where(
    counted[tf.newaxis, :, tf.newaxis], logits, tf.zeros_like(logits)
  )
  return logits, tf.where(counted, labels, 0), weights


def _sums(
  logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, num_bins: int
) -> dict[str, tf.Tensor]:
  """Computes `sufficient_statistics` from what `_padding_removed` returns."""
  member_log_probs = likelihood.log_softmax(logits)
  log_probs = likelihood.mean_log_probs(member_log_probs)
  probs = tf.exp(log_probs)
  correct = per_example.hits(probs, labels)
  bins = calibration.calibration_bins(
    tf.reduce_max(probs, axis=-1), correct, weights, num_bins
  )

  def total(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values * weights, axis=-1)

  differences = diversity.example_diversity(logits, labels)
  return {
    'count': tf.reduce_sum(weights),
    'correct': total(correct),
    'nll': total(likelihood.negative_log_likelihood(log_probs, labels)),
    'gibbs_nll': total(
      likelihood.gibbs_negative_log_likelihood(member_log_probs, labels)
    ),
    'brier': total(likelihood.brier_score(probs, labels)),
    **{name: total(values) for name, values in differences.items()},
    'member_correct': total(per_example.hits(member_log_probs, labels)),
    **dict(zip(calibration.BINS, bins)),
  }
