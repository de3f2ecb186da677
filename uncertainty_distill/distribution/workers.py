"""Processes that train one model together: `MultiWorkerMirroredStrategy`.

Every worker runs the same program. All workers read variables and run steps at
the same time. Only one worker, the chief, writes files and messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Returns whether this process, perhaps the only one, writes the files."""
  return strategy.extended.should_checkpoint


def count(strategy: tf.distribute.Strategy) -> int:
  """Returns the number of processes that train one model."""
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return 1  # A TPU slice has many devices, but one program.
  tasks = strategy.cluster_resolver.cluster_spec().as_dict()
  return sum(map(len, tasks.values())) or 1


def gather(strategy: tf.distribute.Strategy, number: int) -> list[int]:
  """Waits for all workers, and returns their distinct numbers in order.

  Args:
    strategy: The devices.
    number: The number of this worker, such as the step that it has reached.

  Raises:
    tf.errors.UnavailableError: If a worker is gone.
  """
  if count(strategy) == 1:
    return [number]

  @tf.function
  def gathered() -> tf.Tensor:
    numbers = strategy.run(lambda: tf.constant([number], tf.int64))
    return strategy.gather(numbers, axis=0)

  return sorted(set(gathered().numpy().tolist()))


def from_chief(
  strategy: tf.distribute.Strategy, values: Sequence[np.ndarray]
) -> list[np.ndarray]:
  """Waits for all workers, and returns the chief's arrays.

  Args:
    strategy: The devices.
    values: This worker's arrays, with the shapes and types of the chief's.

  Raises:
    tf.errors.UnavailableError: If a worker is gone.
  """
  if count(strategy) == 1:
    return list(values)

  def only_of_chief(values: list[tf.Tensor]) -> list[tf.Tensor]:
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return [tf.where(replica == 0, v, tf.zeros_like(v)) for v in values]

  @tf.function(autograph=False)
  def share(values: list[tf.Tensor]) -> list[tf.Tensor]:
    # A sum is exact if all but one of its terms are 0.
    of_replicas = strategy.run(only_of_chief, args=(values,))
    return [strategy.reduce('SUM', v, axis=None) for v in of_replicas]

  return [v.numpy() for v in share([tf.constant(v) for v in values])]


def wait(strategy: tf.distribute.Strategy) -> None:
  """Waits until every worker calls this.

  Raises:
    tf.errors.UnavailableError: If a worker is gone.
  """
  gather(strategy, 0)
