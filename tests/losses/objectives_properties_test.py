"""Tests properties of the objectives for extreme logits, against float64."""

from uncertainty_distill import losses

import extreme_logits
import hypothesis
import numpy as np
import scipy.special
import tensorflow as tf
from hypothesis import strategies as st

TEMPERATURES = st.sampled_from([1.0, 0.25, 3.0, 20.0])


def _value_and_gradient(loss, logits, *args):
  with tf.GradientTape() as tape:
    logits = tf.cast(logits, tf.float32)
    tape.watch(logits)
    value = loss(logits, *args)
  return value, tape.gradient(value, logits)


@extreme_logits.few_examples
@hypothesis.given(extreme_logits.ensembles(), st.sampled_from([0.0, 0.1, 0.9]))
def test_cross_entropy(drawn, smoothing):
  logits, labels = drawn
  exact = extreme_logits.in_float64(logits)
  log_probs = scipy.special.log_softmax(exact, axis=-1)
  classes = exact.shape[-1]
  targets = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes
  want = -np.sum(targets * log_probs, axis=-1).mean(0)
  value, gradient = _value_and_gradient(
    losses.member_cross_entropy, logits, labels, smoothing
  )
  extreme_logits.assert_near(value, want)
  extreme_logits.assert_near(
    gradient, (np.exp(log_probs) - targets) / len(exact)
  )
  # The loss is the same without the cast to float32.
  extreme_logits.assert_near(
    losses.member_cross_entropy(logits, labels, smoothing), want
  )


def _check_distillation(distil, target, drawn, temperature):
  logits, _, teacher_logits = drawn
  student, teacher = (
    scipy.special.log_softmax(
      extreme_logits.in_float64(values) / temperature, axis=-1
    )
    for values in (logits, teacher_logits)
  )
  teacher = target(teacher)
  probs = np.exp(teacher)
  terms = probs * (teacher - student)
  size = np.sum(np.abs(probs * teacher) + np.abs(probs * student), -1).mean(0)
  want = temperature**2 * terms.sum(-1).mean(0)
  value, gradient = _value_and_gradient(
    distil, logits, teacher_logits, temperature
  )
  extreme_logits.assert_near(value, want, temperature**2 * (1 + size))
  extreme_logits.assert_near(
    gradient,
    temperature * (np.exp(student) - probs) / len(student),
    temperature,
  )


# Large logits that differ by little. Divided by T, they are large, too.
@hypothesis.example(
  (
    tf.constant([[[10000.5, 10000.0, 9999.0]]]),
    [0],
    tf.constant([[[0.0, 0.5, 1.0]]]),
  ),
  7.0,
)
@extreme_logits.few_examples
@hypothesis.given(extreme_logits.ensembles(teacher=True), TEMPERATURES)
def test_knowledge_distillation(drawn, temperature):
  _check_distillation(
    losses.knowledge_distillation,
    lambda log_probs: (
      scipy.special.logsumexp(log_probs, axis=0) - np.log(len(log_probs))
    ),
    drawn,
    temperature,
  )


@extreme_logits.few_examples
@hypothesis.given(extreme_logits.ensembles(teacher=True), TEMPERATURES)
def test_head_distillation(drawn, temperature):
  logits, labels, teacher_logits = drawn
  members = min(len(logits), len(teacher_logits))
  _check_distillation(
    losses.head_distillation,
    lambda log_probs: log_probs,
    (logits[:members], labels, teacher_logits[:members]),
    temperature,
  )


@extreme_logits.few_examples
@hypothesis.given(
  st.integers(1, 4),
  st.integers(0, 2**32 - 1),
  st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
  st.sampled_from([1e-4, 1.0, 1e4]),
)
def test_weight_tie(members, seed, distance, scale):
  random = np.random.default_rng(seed)
  kernel = scale * random.normal(size=[3, 4, 5])
  alpha, gamma = (random.normal(1, 0.5, [members, n]) for n in (4, 5))
  kernel, alpha, gamma = (
    a.astype(np.float32).astype(np.float64) for a in (kernel, alpha, gamma)
  )
  own = kernel * alpha[:, None, :, None] * gamma[:, None, None, :]
  targets = (own + distance * scale * random.normal(size=own.shape)).astype(
    np.float32
  )
  value = losses.weight_tie(
    [
      tuple(tf.constant(a, tf.float32) for a in (kernel, alpha, gamma))
      + (list(tf.unstack(targets)),)
    ]
  )
  want = np.sum((own - targets) ** 2)
  norm = np.sum(targets.astype(np.float64) ** 2)
  # Near the teacher, only the rounding of the weights is left.
  extreme_logits.assert_near(value, want, 1e-6 * norm + 10 * want)
