"""Tests of BatchEnsemble layers against Edward2's layers and their members."""

import functools

from uncertainty_distill import layers
from uncertainty_distill.layers import edward2_layers

import numpy as np
import pytest
import tensorflow as tf

RANKS = pytest.mark.parametrize('rank', [1, 2, 3])
PERTURBED = pytest.mark.parametrize('perturb', ['weights', 'activations'])


def _randomize(layer, seed=0):
  """Draws all weights of a built layer at random, so that no two are alike."""
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


def _value_and_gradients(layer, inputs, curve=tf.sin):
  """Returns a layer's output and the gradients of the sum of `curve` of it."""
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    value = layer(inputs)
    loss = tf.reduce_sum(curve(value))
  return value, tape.gradient(loss, [inputs, *layer.trainable_variables])


def _assert_same(layer, reference, inputs):
  reference(inputs)
  reference.set_weights(layer.get_weights())
  value, gradients = _value_and_gradients(layer, inputs)
  expected_value, expected = _value_and_gradients(reference, inputs)
  np.testing.assert_allclose(value, expected_value, rtol=1e-4, atol=1e-5)
  assert len(gradients) == len(expected) >= 4
  for gradient, other in zip(gradients, expected):
    np.testing.assert_allclose(gradient, other, rtol=1e-3, atol=1e-4)


def _member_kernels(layer):
  """Returns W o sum_r outer(alpha[r, e], gamma[r, e]) of each member e."""
  shape = [layer.rank, layer.ensemble_size, -1]
  alpha, gamma = (np.reshape(v, shape) for v in (layer.alpha, layer.gamma))
  perturbations = np.einsum('rec,ref->ecf', alpha, gamma)
  return [layer.kernel.numpy() * p for p in perturbations]


@PERTURBED
@pytest.mark.parametrize('kernel_size', [1, 3])
@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('rank', [1, 2])
def test_convolution_is_edward2s(rank, strides, kernel_size, perturb):
  options = {
    'strides': strides,
    'rank': rank,
    'ensemble_size': 2,
    'padding': 'same',
    # Edward2 puts the bias on the wrong axes if the rank is above 1.
    'use_bias': rank == 1,
  }
  inputs = _inputs(4, 6, 5, 3)
  layer = layers.Conv2DBatchEnsemble(7, kernel_size, perturb=perturb, **options)
  layer(inputs)
  reference = edward2_layers.Conv2DBatchEnsemble(7, kernel_size, **options)
  _assert_same(_randomize(layer), reference, inputs)


@PERTURBED
@pytest.mark.parametrize('rank', [1, 2])
def test_dense_layer_is_edward2s(rank, perturb):
  options = {'rank': rank, 'ensemble_size': 3, 'activation': 'tanh'}
  inputs = _inputs(6, 4)
  layer = _layer(layers.DenseBatchEnsemble, inputs, perturb=perturb, **options)
  _assert_same(layer, edward2_layers.DenseBatchEnsemble(5, **options), inputs)


@PERTURBED
@RANKS
@pytest.mark.parametrize('use_bias', [False, True])
@pytest.mark.parametrize('padding, strides', [('same', 2), ('valid', 1)])
def test_convolution_is_its_members(rank, use_bias, padding, strides, perturb):
  # The output has 3 x 3 pixels and 5 filters, so a bias fits no other axis.
  inputs = _inputs(6, 5, 5, 3)
  layer = _layer(
    layers.Conv2DBatchEnsemble,
    inputs,
    rank=rank,
    ensemble_size=3,
    use_bias=use_bias,
    padding=padding,
    strides=strides,
    activation='tanh',
    perturb=perturb,
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
  for e, member in enumerate(members):
    with layers.only(e):
      value = layer(inputs[2 * e : 2 * e + 2])
    np.testing.assert_allclose(value, member, rtol=1e-4, atol=1e-5)


@PERTURBED
@RANKS
@pytest.mark.parametrize('use_bias', [False, True])
def test_dense_layer_is_its_members(rank, use_bias, perturb):
  inputs = _inputs(6, 4)
  layer = _layer(
    layers.DenseBatchEnsemble,
    inputs,
    rank=rank,
    ensemble_size=3,
    use_bias=use_bias,
    activation='tanh',
    perturb=perturb,
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


@PERTURBED
@pytest.mark.parametrize('rank', [1, 2])
def test_channels_may_come_first(rank, perturb):
  # Compiled, because TensorFlow's own CPU kernels do not have this layout.
  inputs = _inputs(4, 6, 5, 3)
  kind = functools.partial(
    layers.Conv2DBatchEnsemble,
    7,
    3,
    rank=rank,
    ensemble_size=2,
    padding='same',
    strides=2,
    perturb=perturb,
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
    (layers.Conv2DBatchEnsemble, (None, 6, 5, 3)),
    (layers.DenseBatchEnsemble, (None, 3)),
  ],
)
def test_batch_may_be_unknown(kind, shape, rank):
  inputs = _inputs(4, *shape[1:])
  layer = _layer(kind, inputs, rank=rank, ensemble_size=2)
  call = tf.function(layer, input_signature=[tf.TensorSpec(shape)])
  np.testing.assert_allclose(call(inputs), layer(inputs), rtol=1e-4, atol=1e-5)
  static = call.get_concrete_function().structured_outputs.shape
  assert static[1:] == layer(inputs).shape[1:]


@PERTURBED
@pytest.mark.parametrize('rank', [1, 2])
def test_bfloat16_is_edward2s_with_float32_weights(rank, perturb):
  inputs = tf.cast(_inputs(8, 6, 5, 3), tf.bfloat16)
  options = {
    'rank': rank,
    'ensemble_size': 2,
    'use_bias': False,
    'dtype': 'mixed_bfloat16',
  }
  layer = _layer(layers.Conv2DBatchEnsemble, inputs, perturb=perturb, **options)
  reference = _layer(edward2_layers.Conv2DBatchEnsemble, inputs, **options)
  assert {w.dtype for w in layer.weights} == {tf.float32}
  # Both layers have drawn the same weights, in one order from one seed.
  (value, gradients), (want, wanted) = (
    _value_and_gradients(layer, inputs, lambda value: value * value[:1])
    for layer in (layer, reference)
  )
  assert value.dtype == tf.bfloat16
  for actual, expected in zip(
    [value, *gradients], [want, *wanted], strict=True
  ):
    actual, expected = (tf.cast(v, tf.float32) for v in (actual, expected))
    # bfloat16 holds 8 bits; a value goes through a few roundings.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual / scale, expected / scale, atol=0.04)


def _convolutions(layer, rows, size=8):
  """Returns how many convolutions a layer computes for a number of rows."""
  call = tf.function(lambda images: layer(images), autograph=False)
  graph = call.get_concrete_function(tf.TensorSpec([rows, size, size, 4])).graph
  return sum(op.type == 'Conv2D' for op in graph.get_operations())


@RANKS
@pytest.mark.parametrize(
  'perturb, rows, weights',
  [
    ('weights', 4, True),
    ('activations', 400, False),
    # 2 kernels of 3 * 3 * 4 * 5 are smaller than 2 rows of 8 * 8 * 4 and of
    # 6 * 6 * 5.
    ('auto', 2, True),
    ('auto', None, False),
  ],
)
def test_applies_a_kernel_a_member_or_a_rank(rank, perturb, rows, weights):
  layer = layers.Conv2DBatchEnsemble(
    5, 3, ensemble_size=2, rank=rank, perturb=perturb
  )
  assert _convolutions(layer, rows) == (2 if weights else rank)


def test_small_activations_are_perturbed():
  layer = layers.Conv2DBatchEnsemble(5, 3, ensemble_size=2)
  # 2 kernels of 3 * 3 * 4 * 5 are larger than 2 rows of 4 * 4 * 4 and of
  # 2 * 2 * 5.
  assert _convolutions(layer, 2, size=4) == 1
