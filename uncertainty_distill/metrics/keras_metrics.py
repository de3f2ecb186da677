"""Metrics for `compile` and `fit`, from labels [B] and logits [E, B, K]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uncertainty_distill import ranges
from uncertainty_distill.metrics import likelihood, metric_table
from uncertainty_distill.metrics.statistics import ClassificationStatistics

import tensorflow as tf
import tf_keras

_NAMES = (
  *('accuracy', 'ece', 'nll', 'gibbs_nll', 'brier', 'member_accuracy'),
  *metric_table.DIVERSITY,
)


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class EnsembleMetrics(tf_keras.metrics.Metric):
  """One Keras metric that computes several metrics of an ensemble.

  Use it in `compile(metrics=[...])` of a model that returns [E, B, K], with
  integer labels [B]. Use it in `weighted_metrics` for sample weights to count.
  Each metric is over all examples since the last reset, and does not depend on
  how they were divided into batches.

  Examples:
    >>> metrics = ud.EnsembleMetrics(2, names=('accuracy', 'brier'))
    >>> metrics.update_state([0], [[[2.0, 0.0]], [[0.0, 2.0]]])
    >>> {name: float(value) for name, value in metrics.result().items()}
    {'accuracy': 1.0, 'brier': 0.5}
  """

  def __init__(
    self,
    ensemble_size: int,
    names: Sequence[str] = ('accuracy', 'nll', 'ece'),
    from_logits: bool = True,
    name: str = 'ensemble',
    **kwargs: Any,
  ):
    """Creates metrics of no examples.

    Args:
      ensemble_size: E, the number of members.
      names: The names of the metrics to compute, of `accuracy`, `ece`, `nll`,
        `gibbs_nll`, `brier`, `member_accuracy`, `disagreement`, `pairwise_kl`,
        `mutual_information` and `masegosa_variance`.
      from_logits: Whether the model returns logits, not probabilities.
      name: The name of the object.
      **kwargs: The other arguments of `tf_keras.metrics.Metric`.

    Raises:
      InputError: If a name is unknown.
    """
    super().__init__(name, **kwargs)
    for each in names:
      ranges.one_of(*_NAMES).check('names', each)
    self._ensemble_size = ensemble_size
    self._names = tuple(names)
    self._from_logits = from_logits
    self._statistics = ClassificationStatistics(ensemble_size)

  # Keras would let AutoGraph convert the method, which hides its errors' types.
  @tf.autograph.experimental.do_not_convert
  def update_state(
    self,
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    sample_weight: tf.Tensor | None = None,
  ) -> None:
    """Adds a batch.

    Args:
      y_true: Integer tensor [B] or [B, 1].
      y_pred: Float tensor [E, B, K].
      sample_weight: Float tensor [B], how often each example counts.

    Raises:
      InputError: If a shape is not as above, including E.
    """
    labels = tf.convert_to_tensor(y_true)
    if labels.shape.rank == 2 and labels.shape[1] == 1:
      labels = tf.squeeze(labels, 1)
    y_pred = tf.cast(tf.convert_to_tensor(y_pred), tf.float32)
    logits: Any = y_pred if self._from_logits else likelihood.finite_log(y_pred)
    self._statistics.update_state(logits, labels, sample_weight)

  @tf.autograph.experimental.do_not_convert
  def result(self) -> dict[str, tf.Tensor]:
    """Returns the metrics since the last reset, as scalars by name."""
    found = self._statistics.result()
    # The statistics leave out the diversity of a single network, which is 0.
    return {name: found.get(name, tf.constant(0.0)) for name in self._names}

  def reset_state(self) -> None:
    """Forgets all examples."""
    self._statistics.reset_state()

  def get_config(self) -> dict[str, Any]:
    """Returns the constructor's arguments."""
    return {
      **super().get_config(),
      'ensemble_size': self._ensemble_size,
      'names': self._names,
      'from_logits': self._from_logits,
    }
