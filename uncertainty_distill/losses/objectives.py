"""Cross-entropy, knowledge distillation and head distillation of ensembles.

Each objective returns one loss per example, averaged over the student's
members. Losses are in nats and in float32, whatever the dtype of the logits.
Below, z is a vector of logits over the K classes, q_e(T) = softmax(z_e / T) is
the prediction of student member e at temperature T, and p_m(T) is the
prediction of teacher member m.
"""

from __future__ import annotations

import math

from uncertainty_distill import errors

import tensorflow as tf


def member_cross_entropy(
  logits: tf.Tensor, labels: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
  """Cross-entropy with the labels, averaged over the members.

  loss = 1/E sum_e -sum_k t_k log q_e,k, where the target t is 1 - s + s/K for
  the label's class and s/K for every other class, with s the label smoothing.

  Args:
    logits: Float tensor [E,B,K].
    labels: Integer tensor [B]. A label outside [0, K) raises an error on the
      CPU and gives NaN on other devices and under XLA.
    label_smoothing: s, the weight of the uniform distribution in the target,
      in [0, 1).

  Returns:
    Float32 tensor [B], in nats.

  Raises:
    InputError: If a shape or the label smoothing is not as above.
  """
  if not 0.0 <= label_smoothing < 1.0:
    raise errors.InputError('label_smoothing', label_smoothing, 'in [0, 1)')
  logits = _as_float32('logits', logits)
  labels = tf.cast(labels, tf.int32)
  if not logits.shape[1:2].is_compatible_with(labels.shape):
    raise errors.InputError(
      'labels',
      labels.shape.as_list(),
      f'one label per example, shape {logits.shape.as_list()[1:2]}',
    )
  loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
    labels=tf.broadcast_to(labels, tf.shape(logits)[:-1]), logits=logits
  )
  if label_smoothing:
    uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
    loss = (1.0 - label_smoothing) * loss + label_smoothing * uniform
  return tf.reduce_mean(loss, axis=0)


def knowledge_distillation(
  student_logits: tf.Tensor,
  teacher_logits: tf.Tensor,
  temperature: float = 1.0,
) -> tf.Tensor:
  """Divergence of each student member from the teacher's mean prediction.

  loss = T^2 * 1/E sum_e KL(p(T) || q_e(T)) with p(T) = 1/M sum_m p_m(T), so
  each teacher member is tempered before averaging. T^2 keeps the size of the
  gradients independent of T (Hinton et al. 2015, "Distilling the Knowledge in
  a Neural Network", section 2). With one target for all members, this is the
  knowledge distillation of Mariet et al. 2020, "Distilling Ensembles Improves
  Uncertainty Estimates", section 3.

  Args:
    student_logits: Float tensor [E,B,K].
    teacher_logits: Float tensor [M,B,K]; no gradient flows into it.
    temperature: T, finite and above 0.

  Returns:
    Float32 tensor [B], in nats.

  Raises:
    InputError: If a shape or the temperature is not as above.
  """
  student, teacher = _tempered_log_probs(
    student_logits, teacher_logits, temperature
  )
  members = tf.cast(tf.shape(teacher)[0], tf.float32)
  log_mean = tf.reduce_logsumexp(teacher, axis=0) - tf.math.log(members)
  return temperature**2 * _member_kl(log_mean, student)


def head_distillation(
  student_logits: tf.Tensor,
  teacher_logits: tf.Tensor,
  temperature: float = 1.0,
) -> tf.Tensor:
  """Divergence of each student member from its own teacher member.

  loss = T^2 * 1/E sum_e KL(p_e(T) || q_e(T)): the head distillation of Mariet
  et al. 2020, "Distilling Ensembles Improves Uncertainty Estimates", section 3,
  with the T^2 of Hinton et al. 2015 as in `knowledge_distillation`.

  Args:
    student_logits: Float tensor [E,B,K].
    teacher_logits: Float tensor [M,B,K] with M = E, both known when the graph
      is built; no gradient flows into it.
    temperature: T, finite and above 0.

  Returns:
    Float32 tensor [B], in nats.

  Raises:
    InputError: If a shape or the temperature is not as above.
  """
  student, teacher = _tempered_log_probs(
    student_logits, teacher_logits, temperature
  )
  # An unknown M could be 1, which would broadcast to every student member.
  if teacher.shape[0] is None or teacher.shape[0] != student.shape[0]:
    raise errors.InputError(
      'teacher_logits',
      teacher.shape.as_list(),
      f'logits of as many members as the student has, {student.shape[0]}',
      'use knowledge distillation or a teacher of that size',
    )
  return temperature**2 * _member_kl(teacher, student)


def calibrated_teacher(
  logits: tf.Tensor, temperature: float, pooled: bool
) -> tf.Tensor:
  """Returns a teacher's logits at the temperature that calibrates it.

  If pooled, the members' mean prediction is calibrated (Rahaman and Thiery
  2021, "Uncertainty Quantification and Deep Ensembles", section 4), and
  replaces the members: z = log(1/M sum_m softmax(z_m)) / T. Otherwise each
  member's logits are divided by the same T.

  Args:
    logits: Float tensor [M,...,K].
    temperature: T, above 0.
    pooled: Whether to return one pooled prediction, which is what knowledge
      distillation needs.

  Returns:
    Float32 tensor, [1,...,K] if pooled and otherwise [M,...,K].
  """
  logits = tf.cast(logits, tf.float32)
  if pooled:
    members = tf.cast(tf.shape(logits)[0], tf.float32)
    log_probs = tf.nn.log_softmax(logits)
    logits = tf.reduce_logsumexp(log_probs, axis=0, keepdims=True)
    logits -= tf.math.log(members)
  return logits / temperature


def _member_kl(log_p: tf.Tensor, log_q: tf.Tensor) -> tf.Tensor:
  """Returns KL(p || q) [B], averaged over the members E.

  log_p is [B,K] or [E,B,K], and log_q is [E,B,K].
  """
  # Where p is 0 the term is 0, even if both logarithms are -infinity.
  terms = tf.math.multiply_no_nan(log_p - log_q, tf.exp(log_p))
  return tf.reduce_mean(tf.reduce_sum(terms, axis=-1), axis=0)


def _tempered_log_probs(
  student_logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float
) -> tuple[tf.Tensor, tf.Tensor]:
  """Checks the arguments; returns log_probs [E,B,K] and [M,B,K] in float32."""
  if not 0.0 < temperature < math.inf:
    raise errors.InputError(
      'temperature', temperature, 'a finite number above 0'
    )
  student = _as_float32('student_logits', student_logits)
  teacher = tf.stop_gradient(_as_float32('teacher_logits', teacher_logits))
  if not teacher.shape[1:].is_compatible_with(student.shape[1:]):
    raise errors.InputError(
      'teacher_logits',
      teacher.shape.as_list(),
      "logits of the student's examples and classes, [B,K] = "
      f'{student.shape.as_list()[1:]}',
    )
  return _tempered(student, temperature), _tempered(teacher, temperature)


def _tempered(logits: tf.Tensor, temperature: float) -> tf.Tensor:
  """Returns the log_probs of logits [...,K] at a temperature."""
  if temperature != 1.0:
    # Subtract before dividing: the difference of two large quotients would be
    # mostly rounding error.
    largest = tf.reduce_max(logits, axis=-1, keepdims=True)
    logits = (logits - tf.stop_gradient(largest)) / temperature
  return tf.nn.log_softmax(logits)


def _as_float32(name: str, logits: tf.Tensor) -> tf.Tensor:
  """Casts logits to float32; raises an InputError if their rank is not 3."""
  logits = tf.cast(logits, tf.float32)
  if logits.shape.rank != 3:
    raise errors.InputError(
      name, logits.shape, 'logits [members, examples, classes]'
    )
  return logits
