"""Tests of the objectives where logits are extreme or arguments are wrong."""

import math

from uncertainty_distill import errors, losses

import numpy as np
import pytest
import tensorflow as tf

DISTILLATIONS = [losses.knowledge_distillation, losses.head_distillation]


def _extremes():
  """Logits [1,4,3] that overflow, tie and underflow when exponentiated."""
  return tf.constant(
    [[[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [7.0, 7.0, 7.0], [0.0, 1e4, 90.0]]]
  )


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('distil', DISTILLATIONS)
def test_extreme_logits(distil, jit):
  @tf.function(jit_compile=jit)
  def value_and_gradient(student, teacher):
    with tf.GradientTape() as tape:
      tape.watch(student)
      loss = distil(student, teacher, 1.0)
    return loss, tape.gradient(loss, student)

  extremes = _extremes()
  loss, gradient = value_and_gradient(tf.reverse(extremes, [-1]), extremes)
  # The student's gap at the teacher's top class is 1e4 in the first example. In
  # the second, two top classes tie, with gaps 0 and 2e4. The others have no
  # gap.
  np.testing.assert_allclose(loss, [1e4, 1e4, 0.0, 0.0], rtol=1e-6, atol=1e-6)
  # The gradient is q - p.
  want = [[-1, 0, 1], [0.5, 0, -0.5], [0, 0, 0], [0, 0, 0]]
  np.testing.assert_allclose(gradient[0], want, atol=1e-6)


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('smoothing', [0.0, 0.3])
def test_extreme_logits_in_cross_entropy(smoothing, jit):
  @tf.function(jit_compile=jit)
  def value_and_gradient(logits):
    with tf.GradientTape() as tape:
      tape.watch(logits)
      loss = losses.member_cross_entropy(
        logits, tf.constant([1, 2, 0, 1]), smoothing
      )
    return loss, tape.gradient(loss, logits)

  loss, gradient = value_and_gradient(_extremes())
  # The mean gaps of uniform targets are (0 + 2e4 + 1e4)/3, 2e4/3 + log 2, log 3
  # and (1e4 + 0 + 9910)/3.
  sharp = np.array([2e4, math.log(2), math.log(3), 0.0])
  flat = np.array([1e4, 2e4 / 3 + math.log(2), math.log(3), 19910 / 3])
  np.testing.assert_allclose(
    loss, (1 - smoothing) * sharp + smoothing * flat, rtol=1e-6
  )
  assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize('distil', DISTILLATIONS)
def test_impossible_classes(distil):
  # A class with the logit -inf on both sides adds nothing.
  student = tf.constant([[[0.0, math.log(3.0), -np.inf]]])
  teacher = tf.constant([[[0.0, 0.0, -np.inf]]])
  loss = distil(student, teacher)
  np.testing.assert_allclose(loss, [-0.5 * math.log(0.5 * 1.5)], rtol=1e-6)


@pytest.mark.parametrize(
  'distil, student, teacher, temperature, message',
  [
    (losses.head_distillation, (4, 2, 3), (2, 2, 3), 1.0, 'members'),
    (losses.head_distillation, (4, 2, 3), (1, 2, 3), 1.0, 'members'),
    (losses.knowledge_distillation, (4, 2, 3), (4, 2, 1), 1.0, 'classes'),
    (losses.knowledge_distillation, (4, 2, 3), (4, 1, 3), 1.0, 'classes'),
    (losses.knowledge_distillation, (4, 2, 3), (2, 3), 1.0, 'teacher_l'),
    (losses.knowledge_distillation, (2, 3), (4, 2, 3), 1.0, 'student_l'),
    (losses.head_distillation, (4, 2, 3), (4, 2, 3), 0.0, 'temperature'),
    (losses.head_distillation, (4, 2, 3), (4, 2, 3), math.nan, 'temper'),
  ],
)
def test_distillation_refuses(distil, student, teacher, temperature, message):
  with pytest.raises(errors.InputError, match=message):
    distil(tf.zeros(student), tf.zeros(teacher), temperature)


def test_head_distillation_refuses_an_unknown_teacher_size():
  # AutoGraph would report the error as one of its own.
  @tf.function(input_signature=[tf.TensorSpec([None, 2, 3])], autograph=False)
  def distil(teacher):
    return losses.head_distillation(tf.zeros([4, 2, 3]), teacher)

  with pytest.raises(errors.InputError, match='members'):
    distil(tf.zeros([4, 2, 3]))


@pytest.mark.parametrize(
  'logits, labels, smoothing, message',
  [
    ((2, 3), [0, 1], 0.0, 'logits'),
    ((4, 2, 3), [0, 1, 2], 0.0, 'labels'),
    ((2, 2, 3), [[0], [1]], 0.0, 'labels'),
    ((4, 2, 3), [0, 1], 1.0, 'label_smoothing'),
    ((4, 2, 3), [0, 1], -0.1, 'label_smoothing'),
  ],
)
def test_cross_entropy_refuses(logits, labels, smoothing, message):
  with pytest.raises(errors.InputError, match=message):
    losses.member_cross_entropy(
      tf.zeros(logits), tf.constant(labels), smoothing
    )


def test_cross_entropy_does_not_score_a_label_that_is_no_class():
  arguments = tf.zeros([2, 2, 3]), tf.constant([0, 3])
  with pytest.raises(tf.errors.InvalidArgumentError, match='label'):
    losses.member_cross_entropy(*arguments)
  compiled = tf.function(losses.member_cross_entropy, jit_compile=True)
  assert np.isnan(compiled(*arguments)).tolist() == [False, True]
