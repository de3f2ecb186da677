"""A mean over the steps of a compiled loop, with an eye on each of them."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


class WatchedMean(tf_keras.metrics.Mean):
  """A mean that knows which of its updates was the first that is not finite.

  Nobody sees the single steps of a compiled loop. A scalar that each replica
  keeps for itself costs no communication, and has a shape that is known when
  the loop is compiled, as TPUs want it.
  """

  def __init__(self, name: str = 'watched_mean'):
    super().__init__(name=name, dtype=tf.float32)
    self._updates, self._first_bad = (_of_each_replica() for _ in range(2))

  # Keras would have AutoGraph convert this, which takes its time.
  @tf.autograph.experimental.do_not_convert
  def update_state(
    self, values: tf.Tensor, sample_weight: tf.Tensor | None = None
  ) -> None:
    """Adds values as `tf_keras.metrics.Mean` does; see there."""
    super().update_state(values, sample_weight)
    self._updates.assign_add(1.0)
    is_first = tf.logical_and(
      tf.equal(self._first_bad, 0.0),
      tf.logical_not(tf.reduce_all(tf.math.is_finite(values))),
    )
    self._first_bad.assign(tf.where(is_first, self._updates, self._first_bad))

  def first_bad(self, strategy: tf.distribute.Strategy) -> int:
    """Returns the first update since the last reset that was not finite.

    Args:
      strategy: The one that it was made under.

    Returns:
      Its place, from 1 on, on the replica of this process that was the first;
      0 if there was none.
    """
    places = strategy.experimental_local_results(self._first_bad)
    return min((int(p.numpy()) for p in places if p.numpy()), default=0)


def _of_each_replica() -> tf.Variable:
  # Keras's own weights of a metric are summed at each update on a TPU.
  return tf.Variable(
    0.0,
    trainable=False,
    synchronization=tf.VariableSynchronization.ON_READ,
    aggregation=tf.VariableAggregation.SUM,
  )
