"""Tests of all kinds of BatchEnsemble layers against plain Keras layers."""

import json

from uncertainty_distill import layers, models

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_CONV2D = {'filters': 6, 'kernel_size': 3, 'padding': 'same'}
_CASES = {
  'grouped': (layers.Conv2DBatchEnsemble, {**_CONV2D, 'groups': 2}, (5, 6, 4)),
  'strided groups': (
    layers.Conv2DBatchEnsemble,
    {**_CONV2D, 'groups': 2, 'kernel_size': 1, 'strides': 2},
    (5, 6, 4),
  ),
  'a group a channel': (
    layers.Conv2DBatchEnsemble,
    {**_CONV2D, 'filters': 8, 'groups': 4, 'dilation_rate': 2},
    (5, 6, 4),
  ),
  'depthwise': (
    layers.DepthwiseConv2DBatchEnsemble,
    {'kernel_size': 3, 'strides': 2, 'depth_multiplier': 2},
    (5, 6, 4),
  ),
  'causal': (
    layers.Conv1DBatchEnsemble,
    {'filters': 3, 'kernel_size': 2, 'padding': 'causal', 'dilation_rate': 2},
    (7, 4),
  ),
  'sequence': (
    layers.Conv1DBatchEnsemble,
    {'filters': 4, 'kernel_size': 3, 'strides': 2, 'groups': 2},
    (7, 4),
  ),
  'dense on images': (layers.DenseBatchEnsemble, {'units': 3}, (5, 6, 4)),
}
_EVERY = pytest.mark.parametrize('case', _CASES)


def _built(case, **options):
  kind, arguments, shape = _CASES[case]
  layer = kind(**arguments, ensemble_size=2, activation='tanh', **options)
  generator = np.random.default_rng(0)
  inputs = tf.constant(generator.normal(size=(6, *shape)), tf.float32)
  layer(inputs)
  # The weights are small, so that tanh does not hide differences.
  layer.set_weights(
    [generator.normal(size=w.shape, scale=0.5) for w in layer.weights]
  )
  return layer, inputs


def _member(layer, rows, e, case):
  """Returns a member's output from a plain layer and perturbed activations."""
  _, arguments, _ = _CASES[case]
  plain = layer.plain(**arguments, use_bias=False)
  plain.build(rows.shape)
  plain.set_weights([layer.weights[0]])
  shape = [layer.rank, 2, -1]
  alpha, gamma = (
    np.reshape(v, shape)[:, e] for v in (layer.alpha, layer.gamma)
  )
  value = sum(plain(rows * a) * g for a, g in zip(alpha, gamma))
  return tf.tanh(value + layer.ensemble_bias[e])


@_EVERY
@pytest.mark.parametrize('perturb', ['weights', 'activations'])
@pytest.mark.parametrize('rank', [1, 2])
def test_each_member_is_a_perturbed_plain_layer(case, perturb, rank):
  layer, inputs = _built(case, perturb=perturb, rank=rank)
  value = layer(inputs)
  assert value.shape[1:] == layer.compute_output_shape(inputs.shape)[1:]
  for e, rows in enumerate(tf.split(inputs, 2)):
    want = _member(layer, rows, e, case)
    np.testing.assert_allclose(tf.split(value, 2)[e], want, atol=2e-6)
    with layers.only(e):
      np.testing.assert_allclose(layer(rows), want, atol=2e-6)
    # A plain layer with the member's weights gives the same output.
    plain = layer.plain.from_config(layer.plain_config())
    plain.build(rows.shape)
    plain.set_weights(layer.plain_weights(e))
    np.testing.assert_allclose(plain(rows), want, atol=2e-6)


@_EVERY
def test_both_sides_have_the_same_gradients(case):
  found = []
  for perturb in 'weights', 'activations':
    layer, inputs = _built(case, perturb=perturb)
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      loss = tf.reduce_sum(tf.sin(3 * layer(inputs)))
    found.append(tape.gradient(loss, [inputs, *layer.trainable_weights]))
  assert len(found[0]) == 5
  for weights, activations in zip(*found):
    np.testing.assert_allclose(weights, activations, rtol=1e-4, atol=1e-5)


@_EVERY
def test_a_configuration_is_read_back(case):
  layer, inputs = _built(case, rank=2, perturb='weights', name='kept')
  config = json.loads(json.dumps(tf_keras.layers.serialize(layer)))
  twin = tf_keras.layers.deserialize(config)
  twin(inputs)
  twin.set_weights(layer.get_weights())
  assert type(twin) is type(layer)
  assert twin.get_config() == layer.get_config()
  np.testing.assert_array_equal(twin(inputs), layer(inputs))


@_EVERY
def test_weights_of_a_plain_layer_go_to_all_members(case):
  layer, inputs = _built(case)
  plain = layer.plain.from_config(layer.plain_config())
  plain.build(inputs.shape)
  plain.set_weights(
    [np.random.default_rng(1).normal(size=w.shape) for w in plain.weights]
  )
  layer.assign_plain_weights(plain.get_weights())
  for vector in layer.alpha, layer.gamma:
    vector.assign(tf.ones_like(vector))
  np.testing.assert_allclose(layer(inputs), plain(inputs), atol=1e-5)


def test_each_member_has_a_norm_of_its_own():
  norm = tf_keras.layers.BatchNormalization(momentum=0.5, epsilon=1e-3)
  layer = layers.PerMember(tf_keras.layers.serialize(norm), 2, name='norm')
  rows = tf.random.stateless_normal([8, 3], [0, 1]) * [[1.0]] * 4 + tf.repeat(
    [[0.0], [5.0]], 4, axis=0
  )
  value = layer(rows, training=True)
  for e, part in enumerate(tf.split(rows, 2)):
    mean, variance = tf.nn.moments(part, 0)
    np.testing.assert_allclose(
      tf.split(value, 2)[e], (part - mean) / tf.sqrt(variance + 1e-3), atol=1e-5
    )
    np.testing.assert_allclose(layer.layers[e].moving_mean, mean / 2, rtol=1e-5)
  inferred = layer(rows, training=False)
  for e, part in enumerate(tf.split(rows, 2)):
    own = layer.layers[e]
    want = (part - own.moving_mean) / tf.sqrt(own.moving_variance + 1e-3)
    np.testing.assert_allclose(tf.split(inferred, 2)[e], want, atol=1e-5)
    with layers.only(e):
      np.testing.assert_allclose(layer(part), want, atol=1e-5)
  twin = tf_keras.layers.deserialize(
    json.loads(json.dumps(tf_keras.layers.serialize(layer)))
  )
  twin(rows)
  twin.set_weights(layer.get_weights())
  np.testing.assert_array_equal(twin(rows), inferred)


def test_a_separable_convolution_is_built_from_its_shape():
  plain = tf_keras.layers.SeparableConv2D(
    6,
    3,
    depth_multiplier=2,
    strides=2,
    activation='tanh',
    bias_initializer='ones',
  )
  images = tf_keras.Input((7, 6, 4))
  model = tf_keras.Model(images, plain(images), name='separable')
  converted = models.batch_ensemble(model, 2)
  layer = converted.get_layer(plain.name)
  config = json.loads(json.dumps(tf_keras.layers.serialize(layer)))
  twin = tf_keras.layers.deserialize(config)
  rows = tf.random.stateless_normal([4, 7, 6, 4], [0, 1])
  twin(rows)
  twin.set_weights(layer.get_weights())
  np.testing.assert_array_equal(twin(rows), layer(rows))
  again = type(plain).from_config(layer.plain_config())
  assert again.get_config() == plain.get_config()
