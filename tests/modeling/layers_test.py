"""Tests of the BatchEnsemble layers against Edward2's and their members."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from uncertainty_distill import _edward2
from uncertainty_distill import modeling

RANKS = pytest.mark.parametrize('rank', [1, 2, 3])


def _randomize(layer, seed=0):
  """Draws every weight of a built layer anew, so that no two are alike."""
  generator = np.random.default_rng(seed)
  layer.set_weights([generator.normal(size=w.shape) for w in layer.weights])
  return layer


def _inputs(*shape):
  values = np.random.default_rng(1).normal(size=shape)
  return tf.constant(values, tf.float32)


def _layer(kind, inputs, **kwargs):
  """Returns a built layer with random weights."""
  layer = kind(5, 3, **kwargs) if 'Conv' in kind.__name__ else kind(5, **kwargs)
  layer(inputs)
  return _randomize(layer)


def _value_and_gradients(layer, inputs):
  """Returns an output and the gradients of one uneven sum of it."""
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    value = layer(inputs)
    total = tf.reduce_sum(tf.sin(value))
  return value, tape.gradient(total, [inputs, *layer.trainable_variables])


def _assert_same(ours, theirs, inputs):
  theirs(inputs)
  theirs.set_weights(ours.get_weights())
  value, gradients = _value_and_gradients(ours, inputs)
  their_value, their_gradients = _value_and_gradients(theirs, inputs)
  np.testing.assert_allclose(value, their_value, rtol=1e-4, atol=1e-5)
  assert len(gradients) == len(their_gradients) >= 4
  for gradient, other in zip(gradients, their_gradients):
    np.testing.assert_allclose(gradient, other, rtol=1e-3, atol=1e-4)


def _member_kernels(layer):
  """Returns W o sum_r outer(alpha[r, e], gamma[r, e]) of each member e."""
  shape = [layer.rank, layer.ensemble_size, -1]
  alpha, gamma = (np.reshape(v, shape) for v in (layer.alpha, layer.gamma))
  perturbations = np.einsum('rec,ref->ecf', alpha, gamma)
  return [layer.kernel.numpy() * p for p in perturbations]


@pytest.mark.parametrize('kernel_size', [1, 3])
@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('rank', [1, 2])
def test_convolution_is_edward2s(rank, strides, kernel_size):
  options = {
      'strides': strides,
      'rank': rank,
      'ensemble_size': 2,
      'padding': 'same',
      # Edward2 puts the bias on the wrong axes where the rank is above 1.
      'use_bias': rank == 1,
  }
  inputs = _inputs(4, 6, 5, 3)
  ours = modeling.Conv2DBatchEnsemble(7, kernel_size, **options)
  ours(inputs)
  theirs = _edward2.Conv2DBatchEnsemble(7, kernel_size, **options)
  _assert_same(_randomize(ours), theirs, inputs)


@pytest.mark.parametrize('rank', [1, 2])
def test_dense_layer_is_edward2s(rank):
  options = {'rank': rank, 'ensemble_size': 3, 'activation': 'tanh'}
  inputs = _inputs(6, 4)
  ours = _layer(modeling.DenseBatchEnsemble, inputs, **options)
  _assert_same(ours, _edward2.DenseBatchEnsemble(5, **options), inputs)


@RANKS
@pytest.mark.parametrize('use_bias', [False, True])
@pytest.mark.parametrize('padding, strides', [('same', 2), ('valid', 1)])
def test_convolution_is_its_members(rank, use_bias, padding, strides):
  # As many filters as rows: a bias along the wrong axis would fit, too.
  inputs = _inputs(6, 5, 5, 3)
  layer = _layer(
      modeling.Conv2DBatchEnsemble, inputs, rank=rank, ensemble_size=3,
      use_bias=use_bias, padding=padding, strides=strides, activation='tanh',
  )
  members = []
  for e, kernel in enumerate(_member_kernels(layer)):
    convolved = tf.nn.conv2d(
        inputs[2 * e : 2 * e + 2], kernel, strides, padding.upper()
    )
    bias = layer.ensemble_bias[e] if use_bias else 0.0
    members.append(tf.tanh(convolved + bias))
  np.testing.assert_allclose(
      layer(inputs), tf.concat(members, 0), rtol=1e-4, atol=1e-5
  )


@RANKS
@pytest.mark.parametrize('use_bias', [False, True])
def test_dense_layer_is_its_members(rank, use_bias):
  inputs = _inputs(6, 4)
  layer = _layer(
      modeling.DenseBatchEnsemble, inputs, rank=rank, ensemble_size=3,
      use_bias=use_bias, activation='tanh',
  )
  members = [
      np.tanh(
          inputs[2 * e : 2 * e + 2] @ kernel
          + (layer.ensemble_bias[e] if use_bias else 0.0)
      )
      for e, kernel in enumerate(_member_kernels(layer))
  ]
  np.testing.assert_allclose(
      layer(inputs), np.concatenate(members), rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize('rank', [1, 2])
def test_channels_may_come_first(rank):
  # Compiled, because TensorFlow's own kernels of the CPU have no such layout.
  inputs = _inputs(4, 6, 5, 3)
  kind = functools.partial(
      modeling.Conv2DBatchEnsemble, 7, 3, rank=rank, ensemble_size=2,
      padding='same', strides=2,
  )
  last = kind()
  last(inputs)
  first = kind(data_format='channels_first')
  turned = tf.transpose(inputs, [0, 3, 1, 2])
  first.build(turned.shape)
  first.set_weights(_randomize(last).get_weights())
  value = tf.function(first, jit_compile=True)(turned)
  assert value.shape == first.compute_output_shape(turned.shape)
  np.testing.assert_allclose(
      tf.transpose(value, [0, 2, 3, 1]), last(inputs), rtol=1e-4, atol=1e-4
  )


@pytest.mark.parametrize('rank', [1, 2])
@pytest.mark.parametrize(
    'kind, shape',
    [
        (modeling.Conv2DBatchEnsemble, (None, 6, 5, 3)),
        (modeling.DenseBatchEnsemble, (None, 3)),
    ],
)
def test_batch_may_be_unknown(kind, shape, rank):
  inputs = _inputs(4, *shape[1:])
  layer = _layer(kind, inputs, rank=rank, ensemble_size=2)
  call = tf.function(layer, input_signature=[tf.TensorSpec(shape)])
  np.testing.assert_allclose(call(inputs), layer(inputs), rtol=1e-4, atol=1e-5)
  static = call.get_concrete_function().structured_outputs.shape
  assert static[1:] == layer(inputs).shape[1:]


@pytest.mark.parametrize('rank', [1, 2])
def test_computes_in_bfloat16_with_float32_weights(rank):
  inputs = _inputs(4, 6, 5, 3)
  exact = _layer(
      modeling.Conv2DBatchEnsemble, inputs, rank=rank, ensemble_size=2
  )
  layer = _layer(
      modeling.Conv2DBatchEnsemble, inputs, rank=rank, ensemble_size=2,
      dtype='mixed_bfloat16',
  )
  value = layer(inputs)
  assert value.dtype == tf.bfloat16
  assert {w.dtype for w in layer.weights} == {tf.float32}
  np.testing.assert_allclose(
      tf.cast(value, tf.float32), exact(inputs), rtol=0.05, atol=0.5
  )
