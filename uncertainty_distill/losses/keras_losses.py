"""Keras losses of labels [B] and logits [E, B, K], for `compile` and `fit`."""

from __future__ import annotations

from typing import Any

from uncertainty_distill import metrics, ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.losses import objectives

import tensorflow as tf
import tf_keras


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class MemberCrossEntropy(tf_keras.losses.Loss):
  """The cross-entropy of each member, averaged over the members.

  Pass it to `compile` of a model that returns [E, B, K]. The labels are
  integers [B], or probabilities [B, K]. If these are the mean prediction of a
  teacher, the loss is that of knowledge distillation at temperature 1, plus the
  teacher's entropy. Sample weights [B] and class weights work as with any Keras
  loss.

  Examples:
    >>> logits = [[[2.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]]]
    >>> loss = ud.MemberCrossEntropy()
    >>> round(float(loss([0, 1], logits)), 3)
    0.154
  """

  def __init__(
    self,
    from_logits: bool = True,
    label_smoothing: float = 0.0,
    reduction: str = 'auto',
    name: str = 'member_cross_entropy',
  ):
    """Initializes the loss.

    Args:
      from_logits: Whether the model returns logits, not probabilities.
      label_smoothing: The weight of the uniform distribution in the target, in
        [0, 1).
      reduction: How the losses of a batch are reduced, as in Keras.
      name: The loss's name.

    Raises:
      InputError: If the label smoothing is out of its range.
    """
    super().__init__(reduction, name)
    ranges.BELOW_1.check('label_smoothing', label_smoothing)
    self._from_logits = from_logits
    self._label_smoothing = label_smoothing

  # Keras would let AutoGraph convert this, which hides the types of errors.
  @tf.autograph.experimental.do_not_convert
  def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Returns the loss of each example, [B], in nats."""
    logits = tf.cast(y_pred, tf.float32)
    if not self._from_logits:
      logits = tf.convert_to_tensor(metrics.finite_log(logits))
    labels = tf.convert_to_tensor(y_true)
    if labels.shape.rank == 2 and labels.shape[1] == 1:
      labels = tf.squeeze(labels, 1)
    if labels.shape.rank == 1:
      return objectives.member_cross_entropy(
        logits, labels, self._label_smoothing
      )
    return _soft_cross_entropy(logits, labels, self._label_smoothing)

  def get_config(self) -> dict[str, Any]:
    """Returns the constructor's arguments."""
    return {
      **super().get_config(),
      'from_logits': self._from_logits,
      'label_smoothing': self._label_smoothing,
    }


def _soft_cross_entropy(logits, targets, label_smoothing):
  """Returns the mean over members of -sum_k t_k log q_e,k, [B]."""
  if logits.shape.rank != 3 or not logits.shape[1:].is_compatible_with(
    targets.shape
  ):
    raise InputError(
      'y_true',
      targets.shape.as_list(),
      f'labels [B], or probabilities [B, K], for y_pred {logits.shape} of '
      '[E, B, K]',
    )
  targets = tf.cast(targets, tf.float32)
  targets *= 1.0 - label_smoothing
  targets += label_smoothing / tf.cast(tf.shape(targets)[-1], tf.float32)
  log_probs = tf.reduce_mean(tf.nn.log_softmax(logits), 0)
  return -tf.reduce_sum(tf.math.multiply_no_nan(log_probs, targets), -1)
