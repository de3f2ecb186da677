"""Tests of the metric that accumulates the sums of batches."""

from uncertainty_distill import errors, metrics

import numpy as np
import pytest
import random_logits
import tensorflow as tf


def test_metric_accumulates_and_resets():
  metric = metrics.ClassificationStatistics(ensemble_size=3)
  logits, labels = random_logits.draw()
  mask = np.arange(64) % 4 > 0

  @tf.function
  def step(*batch):
    metric.update_state(*batch)

  whole = metrics.sufficient_statistics(logits, labels, mask)
  # The second pass would show anything that the reset left behind.
  for _ in range(2):
    for part in (slice(0, 32), slice(32, 64)):
      step(logits[:, part], labels[part], mask[part])
    random_logits.assert_equal(metric.statistics(), whole)
    random_logits.assert_equal(metric.result(), metrics.compute_metrics(whole))
    metric.reset_state()
  assert all(np.all(value == 0) for value in metric.statistics().values())


def test_metric_refuses_other_ensemble_sizes():
  metric = metrics.ClassificationStatistics(ensemble_size=4)
  with pytest.raises(errors.InputError, match='4 members'):
    metric.update_state(*random_logits.draw(members=1))


def test_metric_sums_over_replicas(replicas):
  strategy = replicas
  with strategy.scope():
    metric = metrics.ClassificationStatistics(ensemble_size=3)
  logits, labels = random_logits.draw()
  # The replicas have unequal shares, so a mean over replicas would be wrong.
  mask = np.arange(64) < 50
  whole = metrics.sufficient_statistics(logits, labels, mask)

  def halves(values):
    return strategy.experimental_distribute_values_from_function(
      lambda context: values[context.replica_id_in_sync_group]
    )

  batch = (
    halves([tf.constant(x) for x in np.split(logits, 2, axis=1)]),
    halves([tf.constant(x) for x in np.split(labels, 2)]),
    halves([tf.constant(x) for x in np.split(mask, 2)]),
  )

  @tf.function
  def step(*arguments):
    strategy.run(metric.update_state, args=arguments)

  for _ in range(2):
    step(*batch)
    random_logits.assert_equal(metric.statistics(), whole)
    random_logits.assert_equal(metric.result(), metrics.compute_metrics(whole))
    metric.reset_state()
