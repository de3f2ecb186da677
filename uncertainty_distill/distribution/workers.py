"""Processes that train one model together: `MultiWorkerMirroredStrategy`.

Every worker runs the same program. What reads variables or runs a step is done
by all of them, at the same time; files are written, and things said, by one,
the chief.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Tells whether this process writes the files; true where it is the only."""
  return strategy.extended.should_checkpoint


def count(strategy: tf.distribute.Strategy) -> int:
  """Returns the number of processes; 1 but for several workers."""
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return 1  # A TPU slice, too, has one program and many devices.
  tasks = strategy.cluster_resolver.cluster_spec().as_dict()
  return sum(map(len, tasks.values())) or 1


def gather(strategy: tf.distribute.Strategy, number: int) -> list[int]:
  """Waits for all workers; returns the distinct numbers that they brought.

  Args:
    strategy: The devices.
    number: This worker's.

  Raises:
    tf.errors.UnavailableError: If a worker is gone.
  """
  if count(strategy) == 1:
    return [number]

  @tf.function
  def ask() -> tf.Tensor:
    brought = strategy.run(lambda: tf.constant([number], tf.int64))
    return strategy.gather(brought, axis=0)

  return sorted(set(ask().numpy().tolist()))


def from_chief(
  strategy: tf.distribute.Strategy, values: Sequence[np.ndarray]
) -> list[np.ndarray]:
  """Waits for all workers; returns the arrays that the chief brought.

  Args:
    strategy: The devices.
    values: This worker's, of the shapes and types of the chief's.

  Raises:
    tf.errors.UnavailableError: If a worker is gone.
  """
  if count(strategy) == 1:
    return list(values)

  def brought(values: list[tf.Tensor]) -> list[tf.Tensor]:
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return [tf.where(replica == 0, v, tf.zeros_like(v)) for v in values]

  @tf.function(autograph=False)
  def share(values: list[tf.Tensor]) -> list[tf.Tensor]:
    # A sum in which all but one are 0 is exact.
    of_replicas = strategy.run(brought, args=(values,))
    return [strategy.reduce('SUM', v, axis=None) for v in of_replicas]

  return [v.numpy() for v in share([tf.constant(v) for v in values])]


def wait(strategy: tf.distribute.Strategy) -> None:
  """Waits until every worker has come here.

  Raises:
    tf.errors.UnavailableError: If a worker is gone.
  """
  gather(strategy, 0)
