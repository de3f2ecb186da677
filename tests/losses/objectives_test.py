"""Tests of the objectives against hand derivations and TFP."""

import math

from uncertainty_distill import losses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

DISTILLATIONS = [losses.knowledge_distillation, losses.head_distillation]


def _normal(*shape, seed=0, scale=2.0):
  values = np.random.default_rng(seed).normal(size=shape) * scale
  return tf.constant(values, tf.float32)


def _logits_of(probs):
  return tf.math.log(tf.constant(probs, tf.float32))


@pytest.mark.parametrize(
  'smoothing, example_0, example_1',
  [
    (0.0, -math.log(0.5 * 0.25) / 2, -math.log(0.2 * 0.5) / 2),
    # The targets are (.8, .2) and (.2, .8).
    (
      0.4,
      (-math.log(0.5) - 0.8 * math.log(0.25) - 0.2 * math.log(0.75)) / 2,
      (-0.2 * math.log(0.8) - 0.8 * math.log(0.2) - math.log(0.5)) / 2,
    ),
  ],
)
def test_cross_entropy_by_hand(smoothing, example_0, example_1):
  logits = _logits_of([[[0.5, 0.5], [0.8, 0.2]], [[0.25, 0.75], [0.5, 0.5]]])
  loss = losses.member_cross_entropy(logits, tf.constant([0, 1]), smoothing)
  np.testing.assert_allclose(loss, [example_0, example_1], rtol=1e-6)


def test_knowledge_distillation_by_hand():
  # The mean of the teacher's members is (.5, .5).
  teacher = _logits_of([[[0.75, 0.25]], [[0.25, 0.75]]])
  student = _logits_of([[[0.5, 0.5]], [[0.2, 0.8]], [[0.1, 0.9]]])
  by_member = [0.0, -0.5 * math.log(0.4 * 1.6), -0.5 * math.log(0.2 * 1.8)]
  loss = losses.knowledge_distillation(student, teacher)
  np.testing.assert_allclose(loss, [sum(by_member) / 3], rtol=1e-6)


def test_head_distillation_by_hand():
  teacher = _logits_of([[[0.75, 0.25]], [[0.25, 0.75]]])
  student = _logits_of([[[0.5, 0.5]], [[0.25, 0.75]]])
  loss = losses.head_distillation(student, teacher)
  divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
  np.testing.assert_allclose(loss, [(divergence + 0.0) / 2], rtol=1e-6)


@pytest.mark.parametrize('temperature', [0.5, 1.0, 3.0])
def test_distillation_equals_tfp(temperature):
  student, teacher = _normal(3, 5, 10), _normal(3, 5, 10, seed=1)

  def divergence(target):
    return temperature**2 * tfp.distributions.kl_divergence(
      target, tfp.distributions.Categorical(logits=student / temperature)
    )

  # Members are tempered before they are averaged; the tempered mean differs.
  heads = tf.nn.softmax(teacher / temperature)
  mean = tfp.distributions.Categorical(probs=tf.reduce_mean(heads, axis=0))
  np.testing.assert_allclose(
    losses.knowledge_distillation(student, teacher, temperature),
    np.mean(divergence(mean), axis=0),
    rtol=1e-4,
  )
  np.testing.assert_allclose(
    losses.head_distillation(student, teacher, temperature),
    np.mean(divergence(tfp.distributions.Categorical(probs=heads)), axis=0),
    rtol=1e-4,
  )


@pytest.mark.parametrize('distil', DISTILLATIONS)
def test_a_perfect_student_has_no_loss_and_no_gradient(distil):
  teacher = tf.tile(_normal(1, 6, 3), [2, 1, 1])
  student = tf.Variable(teacher + 5.0)
  with tf.GradientTape() as tape:
    loss = distil(student, teacher, 2.0)
  np.testing.assert_allclose(loss, np.zeros(6), atol=1e-5)
  np.testing.assert_allclose(
    tape.gradient(loss, student), np.zeros([2, 6, 3]), atol=1e-6
  )


def test_gradients_of_distillation():
  # d/dz_e of T^2/E KL(p(T) || softmax(z_e/T)) is T/E (q_e(T) - p(T)).
  temperature = 2.0
  student = tf.Variable(2.0 * _logits_of([[[0.2, 0.8]], [[0.6, 0.4]]]))
  teacher = tf.Variable(2.0 * _logits_of([[[0.75, 0.25]], [[0.25, 0.75]]]))
  with tf.GradientTape(persistent=True) as tape:
    knowledge = losses.knowledge_distillation(student, teacher, temperature)
    head = losses.head_distillation(student, teacher, temperature)
  np.testing.assert_allclose(
    tape.gradient(knowledge, student),
    [[[-0.3, 0.3]], [[0.1, -0.1]]],
    atol=1e-6,
  )
  np.testing.assert_allclose(
    tape.gradient(head, student),
    [[[-0.55, 0.55]], [[0.35, -0.35]]],
    atol=1e-6,
  )
  assert tape.gradient(knowledge, teacher) is None
  assert tape.gradient(head, teacher) is None


def test_high_temperature_matches_logits():
  # The limit is 1/2K |centered gap|^2, section 2.1 of Hinton et al. (2015).
  student, teacher = _normal(1, 4, 5), _normal(3, 4, 5, seed=1)
  gap = tf.reduce_mean(teacher, axis=0) - student[0]
  gap -= tf.reduce_mean(gap, axis=-1, keepdims=True)
  np.testing.assert_allclose(
    losses.knowledge_distillation(student, teacher, 200.0),
    tf.reduce_sum(gap**2, axis=-1) / 10,
    rtol=0.05,
  )


def test_low_temperature_matches_the_top_class():
  # The KL is -log q of the teacher's top class: the student's largest
  # logit minus its logit of this class, divided by T.
  student = tf.constant([[[3.0, 1.0, 0.0]]])
  teacher = tf.constant([[[0.0, 2.0, 1.0]]])
  loss = losses.knowledge_distillation(student, teacher, 0.01)
  np.testing.assert_allclose(loss / 0.01, [3.0 - 1.0], rtol=1e-5)


@pytest.mark.parametrize('distil', DISTILLATIONS)
@pytest.mark.parametrize('dtype', [tf.bfloat16, tf.float16, tf.float64])
def test_computes_in_float32(distil, dtype):
  student = tf.cast(_normal(2, 4, 10), dtype)
  teacher = tf.cast(_normal(2, 4, 10, seed=1), dtype)
  labels = tf.constant([0, 9, 3, 3], tf.int64)
  loss = distil(student, teacher, 3.0)
  cross_entropy = losses.member_cross_entropy(student, labels)
  assert loss.dtype == cross_entropy.dtype == tf.float32
  student, teacher = tf.cast(student, tf.float32), tf.cast(teacher, tf.float32)
  np.testing.assert_array_equal(loss, distil(student, teacher, 3.0))
  np.testing.assert_array_equal(
    cross_entropy, losses.member_cross_entropy(student, labels)
  )


def test_compiled_equals_eager():
  def objectives(student, teacher, labels):
    return (
      losses.member_cross_entropy(student, labels, 0.1),
      losses.knowledge_distillation(student, teacher, 2.0),
      losses.head_distillation(student, teacher, 2.0),
    )

  arguments = _normal(3, 5, 4), _normal(3, 5, 4, seed=1), tf.range(5) % 4
  compiled = tf.function(objectives, jit_compile=True)(*arguments)
  for got, want in zip(compiled, objectives(*arguments)):
    assert got.shape == [5]
    np.testing.assert_allclose(got, want, rtol=1e-5)
