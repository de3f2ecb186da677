"""The outputs of a served model, computed from its members' logits."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import metrics

import tensorflow as tf


def outputs_from_logits(
  logits: tf.Tensor,
  temperature: float = 1.0,
  sets: metrics.PredictionSets | None = None,
) -> dict[str, tf.Tensor]:
  """Returns probabilities and their uncertainty from the members' logits.

  The total uncertainty is the entropy of the mean probabilities
  (`predictive_entropy`). It is the sum of the members' mean entropy
  (`expected_entropy`) and the mutual information of the class and the member
  (`mutual_information`; Depeweg et al. 2018, equation 2).

  Args:
    logits: [E, B, K].
    temperature: The number that divides each member's logits, before the mean
      over members.
    sets: The rule of the prediction sets; None for no prediction sets.

  Returns:
    `probabilities` float32 [B, K], the mean over the members;
    `member_probabilities` float32 [B, E, K]; `label` int32 [B], the most
    probable class; `confidence` float32 [B], the probability of that class; and
    three float32 [B] in nats: `predictive_entropy`, the entropy of the mean
    probabilities, 0 to log K; `expected_entropy`, the mean of the members'
    entropies, 0 to log K; and `mutual_information`, the difference of the two,
    0 to log min(E, K). If there is a rule of prediction sets, also
    `prediction_set` bool [B, K], whether each class is in the set; and
    `set_size` int32 [B], the number of classes in the set.
  """
  logits = tf.cast(logits, tf.float32) / temperature
  member_probs = tf.nn.softmax(logits)
  probs = tf.reduce_mean(member_probs, 0)
  # If rounding takes a probability above 1, the entropy can be below 0.
  total, expected = (
    tf.maximum(metrics.entropy(p), 0.0) for p in (probs, member_probs)
  )
  outputs = {
    'probabilities': probs,
    'member_probabilities': tf.transpose(member_probs, [1, 0, 2]),
    'label': tf.argmax(probs, -1, output_type=tf.int32),
    'confidence': tf.reduce_max(probs, -1),
    'predictive_entropy': total,
    'expected_entropy': tf.reduce_mean(expected, 0),
    'mutual_information': metrics.mutual_information(logits),
  }
  if sets:
    contains = sets.contains(probs)
    outputs['prediction_set'] = contains
    outputs['set_size'] = tf.reduce_sum(tf.cast(contains, tf.int32), -1)
  return outputs


def with_class_names(
  outputs: dict[str, tf.Tensor], class_names: Sequence[str]
) -> dict[str, tf.Tensor]:
  """Adds `class_name`, string [B], to the result of `outputs_from_logits`."""
  names = tf.constant(list(class_names), tf.string)
  return {**outputs, 'class_name': tf.gather(names, outputs['label'])}
