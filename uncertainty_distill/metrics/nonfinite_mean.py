"""A mean over a compiled loop's steps that records the first non-finite one."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


class NonFiniteTrackingMean(tf_keras.metrics.Mean):
  """A mean that remembers its first non-finite update.

  The single steps of a compiled loop cannot be observed from outside. So each
  replica keeps the number of the update in a scalar. A scalar needs no
  communication, and its shape is known when the loop is compiled, as TPUs
  require.
  """

  def __init__(self, name: str = 'nonfinite_tracking_mean'):
    super().__init__(name=name, dtype=tf.float32)
    self._updates, self._first_nonfinite = (_replica_scalar() for _ in range(2))

  # Keras would let AutoGraph convert the method, which takes time.
  @tf.autograph.experimental.do_not_convert
  def update_state(
    self, values: tf.Tensor, sample_weight: tf.Tensor | None = None
  ) -> None:
    """Adds values as `tf_keras.metrics.Mean.update_state` does."""
    super().update_state(values, sample_weight)
    self._updates.assign_add(1.0)
    is_first = tf.logical_and(
      tf.equal(self._first_nonfinite, 0.0),
      tf.logical_not(tf.reduce_all(tf.math.is_finite(values))),
    )
    self._first_nonfinite.assign(
      tf.where(is_first, self._updates, self._first_nonfinite)
    )

  def first_nonfinite(self, strategy: tf.distribute.Strategy) -> int:
    """Returns the number of the first non-finite update since the last reset.

    Args:
      strategy: The strategy that the metric was made under.

    Returns:
      The lowest number among this process's replicas, counted from 1, or 0 if
      all updates were finite.
    """
    numbers = strategy.experimental_local_results(self._first_nonfinite)
    return min((int(n.numpy()) for n in numbers if n.numpy()), default=0)


def _replica_scalar() -> tf.Variable:
  # On a TPU, weights from Keras's `add_weight` are summed at each update.
  return tf.Variable(
    0.0,  # pyright: ignore[reportArgumentType]
    trainable=False,
    synchronization=tf.VariableSynchronization.ON_READ,
    aggregation=tf.VariableAggregation.SUM,
  )
