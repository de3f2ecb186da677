"""Tests of the mean that records its first non-finite value."""

from uncertainty_distill import metrics

import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_the_first_is_noted(bad):
  mean = metrics.NonFiniteTrackingMean('loss')
  strategy = tf.distribute.get_strategy()
  for value in 1.0, 3.0:
    mean.update_state(value)
  assert mean.first_nonfinite(strategy) == 0 and float(mean.result()) == 2
  mean.reset_state()
  for value in 1.0, bad, 2.0, bad:
    mean.update_state(value)
  assert mean.first_nonfinite(strategy) == 2
  assert not np.isfinite(mean.result())
  mean.reset_state()
  mean.update_state(5.0)
  assert mean.first_nonfinite(strategy) == 0 and float(mean.result()) == 5


def test_in_a_compiled_loop_on_replicas_the_earliest_counts(replicas):
  with replicas.scope():
    mean = metrics.NonFiniteTrackingMean('loss')
  # The values of two replicas, with one step in each row.
  steps = tf.constant([[1, 2], [3, np.inf], [np.nan, 4], [5, 6]], tf.float32)

  def step(values):
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    mean.update_state(values[replica])

  @tf.function
  def loop(number):
    for index in tf.range(number):
      replicas.run(step, args=(steps[index],))

  loop(4)
  assert mean.first_nonfinite(replicas) == 2
  mean.reset_state()
  loop(1)
  assert mean.first_nonfinite(replicas) == 0 and float(mean.result()) == 1.5
