"""Tests of the tie of weights against the plain formula in float64."""

from uncertainty_distill import losses

import numpy as np
import pytest
import tensorflow as tf
from refusals import refused

_E = 3


def _layer(shape, rank, seed=0, noise=1.0):
  """Returns a layer in float64: kernel, alpha, gamma, and distant targets.

  Kernels have weights as large as in networks, and factors are around 1.
  """
  generator = np.random.default_rng(seed)
  lead = () if rank == 1 else (rank,)
  kernel = generator.normal(size=shape) / 10
  alpha = generator.normal(1, 0.5, (*lead, _E, shape[-2]))
  gamma = generator.normal(1, 0.5, (*lead, _E, shape[-1]))
  members = kernel * _perturbations(alpha, gamma, len(shape))
  targets = members * (1 + noise * generator.normal(size=members.shape))
  return kernel, alpha, gamma, list(targets)


def _perturbations(alpha, gamma, axes):
  """R_e as the sum of outer products, [E, 1, 1, Cin, Cout] for convolutions."""
  if alpha.ndim == 2:
    alpha, gamma = alpha[None], gamma[None]
  r = sum(a[:, :, None] * g[:, None, :] for a, g in zip(alpha, gamma))
  return r.reshape(_E, *[1] * (axes - 2), *r.shape[1:])


def _plain(kernel, alpha, gamma, targets):
  """Returns the tie by the plain formula, for tensors or for float64 arrays."""
  if len(alpha.shape) == 2:
    alpha, gamma = alpha[None], gamma[None]
  total = 0.0
  for e, target in enumerate(targets):
    r = sum(
      a[e][:, None] * g[e][None, :]
      for a, g in zip(tf.unstack(alpha), tf.unstack(gamma))
    )
    total += tf.reduce_sum((kernel * r - target) ** 2)
  return total


def _tensors(layer, dtype=tf.float32):
  kernel, alpha, gamma, targets = layer
  return (
    *(tf.Variable(v, dtype=dtype) for v in (kernel, alpha, gamma)),
    [tf.Variable(w, dtype=dtype) for w in targets],
  )


def test_by_hand():
  # Members: [[2, 4]] * [[1, 3]] = [[2, 12]] and [[2, 4]] * [[-1, 0]] * 2.
  kernel = tf.constant([[2.0, 4.0]])
  alpha = tf.constant([[1.0], [2.0]])
  gamma = tf.constant([[1.0, 3.0], [-1.0, 0.0]])
  targets = [tf.constant([[1.0, 10.0]]), tf.constant([[0.0, 3.0]])]
  value = losses.weight_tie([(kernel, alpha, gamma, targets)])
  assert float(value) == (1 + 4) + (16 + 9)


@pytest.mark.parametrize('shape', [(3, 3, 5, 7), (1, 1, 4, 6), (8, 10)])
@pytest.mark.parametrize('rank', [1, 2])
@pytest.mark.parametrize('noise', [1.0, 1e-2])
def test_value_and_gradient_of_the_plain_formula(shape, rank, noise):
  # With the smaller noise, the value is computed from differences.
  layers = [_layer(shape, rank, noise=noise), _layer((2, 2, 3, 4), 1, 1, noise)]
  tied = [_tensors(layer) for layer in layers]
  exact = [_tensors(layer, tf.float64) for layer in layers]
  with tf.GradientTape() as tape:
    value = losses.weight_tie(tied)
  gradients = tape.gradient(value, [layer[:3] for layer in tied])
  with tf.GradientTape() as tape:
    wanted_value = sum(_plain(*layer) for layer in exact)
  wanted = tape.gradient(wanted_value, [layer[:3] for layer in exact])
  np.testing.assert_allclose(value, wanted_value, rtol=3e-6)
  for got, want in zip(tf.nest.flatten(gradients), tf.nest.flatten(wanted)):
    # A gradient is a difference of terms as large as the weights.
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_no_gradient_flows_into_the_teacher():
  kernel, alpha, gamma, targets = _tensors(_layer((3, 3, 2, 4), 1))
  with tf.GradientTape() as tape:
    value = losses.weight_tie([(kernel, alpha, gamma, targets)])
  assert tape.gradient(value, targets) == [None] * _E


@pytest.mark.parametrize('noise', [0.3, 0.1, 1e-2, 1e-3, 1e-4])
def test_value_close_to_the_optimum(noise):
  # At 1e-4 the value is 1e-8 of the terms of the expanded square. From them
  # alone, it would be all rounding error.
  layer = _tensors(_layer((3, 3, 64, 64), 1, noise=noise))
  exact = _plain(
    *tf.nest.map_structure(lambda v: tf.constant(v.numpy(), tf.float64), layer)
  )
  np.testing.assert_allclose(losses.weight_tie([layer]), exact, rtol=1e-5)


def test_a_teacher_may_have_its_kernels_in_bfloat16():
  *layer, targets = _tensors(_layer((3, 3, 4, 6), 1))
  rounded = [tf.cast(w, tf.bfloat16) for w in targets]
  value = losses.weight_tie([(*layer, rounded)])
  assert value.dtype == tf.float32
  back = [tf.cast(w, tf.float32) for w in rounded]
  assert float(value) == float(losses.weight_tie([(*layer, back)]))


def test_zero_at_the_optimum():
  kernel = tf.constant([[0.5, -2.0], [1.0, 0.25]])
  ones = tf.ones([2, 2])
  value = losses.weight_tie([(kernel, ones, ones, [kernel, kernel])])
  assert float(value) == 0.0


def test_compiles_with_static_shapes():
  for noise in 1.0, 1e-3:
    layer = _tensors(_layer((3, 3, 4, 6), 2, noise=noise))

    def gradient(layer=layer):
      with tf.GradientTape() as tape:
        value = losses.weight_tie([layer])
      return value, tape.gradient(value, layer[:3])

    eager, compiled = gradient(), tf.function(gradient, jit_compile=True)()
    for want, got in zip(tf.nest.flatten(eager), tf.nest.flatten(compiled)):
      np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  'spoil, expected',
  [
    (lambda ws: ws[:-1], '3 members'),
    (lambda ws: [w[:, :1] for w in ws], '[4, 6]'),
  ],
)
def test_refuses(spoil, expected):
  *layer, targets = _layer((4, 6), 1)
  layer = [tf.constant(v, tf.float32) for v in layer]
  targets = [tf.constant(w, tf.float32) for w in spoil(targets)]
  with refused('weight_tie', expected=expected):
    losses.weight_tie([(*layer, targets)])
