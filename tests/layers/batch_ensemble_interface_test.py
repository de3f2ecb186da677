"""Tests of the BatchEnsemble layers' configurations, shapes and errors."""

import functools
import json

from uncertainty_distill import layers

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused

RANKS = pytest.mark.parametrize('rank', [1, 2, 3])


def _random_weights(layer):
  generator = np.random.default_rng(0)
  return [generator.normal(size=weight.shape) for weight in layer.weights]


def _inputs(*shape):
  values = np.random.default_rng(1).normal(size=shape)
  return tf.constant(values, tf.float32)


def _unusual(kind, rank):
  """Returns a layer with no argument at its default value."""
  initializers = tf_keras.initializers
  options = {
    'rank': rank,
    'ensemble_size': 2,
    'alpha_initializer': initializers.RandomNormal(1.0, 0.5),
    'gamma_initializer': initializers.Constant(3.0),
    'kernel_initializer': initializers.HeNormal(),
    'bias_initializer': initializers.Constant(0.25),
    'kernel_regularizer': tf_keras.regularizers.L2(0.5),
    'bias_regularizer': tf_keras.regularizers.L1(0.25),
    'kernel_constraint': tf_keras.constraints.MaxNorm(2.0),
    'bias_constraint': tf_keras.constraints.NonNeg(),
    'activation': 'tanh',
    'name': 'unusual',
    'trainable': False,
  }
  if kind is layers.DenseBatchEnsemble:
    return kind(5, **options)
  return kind(5, (3, 1), strides=(1, 2), padding='same', **options)


def _through_json(layer):
  config = json.loads(json.dumps(tf_keras.layers.serialize(layer)))
  return tf_keras.layers.deserialize(config)


@pytest.mark.parametrize('rank', [1, 2])
@pytest.mark.parametrize(
  'kind, shape',
  [
    (layers.Conv2DBatchEnsemble, (4, 6, 5, 3)),
    (layers.DenseBatchEnsemble, (4, 3)),
  ],
)
@pytest.mark.parametrize(
  'copy', [lambda layer: layer.from_config(layer.get_config()), _through_json]
)
def test_configuration_is_read_back(copy, kind, shape, rank):
  layer = _unusual(kind, rank)
  twin = copy(layer)
  assert type(twin) is kind
  assert twin.get_config() == layer.get_config()
  inputs = _inputs(*shape)
  layer(inputs)
  twin(inputs)
  # Each initial value comes from the right initializer.
  np.testing.assert_array_equal(twin.gamma, np.full(twin.gamma.shape, 3.0))
  np.testing.assert_array_equal(twin.ensemble_bias, np.full([2, 5], 0.25))
  assert 1 < np.ptp(twin.kernel) < 10 and np.ptp(twin.alpha) > 0.1
  assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]
  for each in layer, twin:
    each.set_weights(_random_weights(layer))
  np.testing.assert_array_equal(twin(inputs), layer(inputs))
  assert np.allclose(twin.losses, layer.losses) and len(layer.losses) == 2
  assert not twin.trainable_variables


@RANKS
@pytest.mark.parametrize('padding', ['same', 'valid'])
@pytest.mark.parametrize('strides', [1, 2, (2, 3)])
def test_output_shape_is_a_convolutions(strides, padding, rank):
  options = {'strides': strides, 'padding': padding}
  plain = tf_keras.layers.Conv2D(7, (3, 2), **options)
  layer = layers.Conv2DBatchEnsemble(
    7, (3, 2), rank=rank, ensemble_size=2, **options
  )
  for shape in [(4, 9, 8, 3), (None, 9, 8, 3), (None, None, 8, 3)]:
    want = plain.compute_output_shape(shape)
    assert layer.compute_output_shape(shape).as_list() == want.as_list()
  value = layer(_inputs(4, 9, 8, 3))
  assert value.shape == plain.compute_output_shape((4, 9, 8, 3))
  assert layer(tf_keras.Input((9, 8, 3))).shape == plain.compute_output_shape(
    (None, 9, 8, 3)
  )


def test_output_shape_counts_dilation():
  options = {'dilation_rate': 2, 'padding': 'valid'}
  plain = tf_keras.layers.Conv2D(7, 3, **options)
  layer = layers.Conv2DBatchEnsemble(7, 3, **options)
  shape = (4, 9, 8, 3)
  assert layer.compute_output_shape(shape) == plain.compute_output_shape(shape)
  assert layer(_inputs(*shape)).shape == (4, 5, 4, 7)


@pytest.mark.parametrize(
  'kind, shape',
  [
    (layers.Conv2DBatchEnsemble, (5, 6, 5, 3)),
    (layers.DenseBatchEnsemble, (5, 3)),
  ],
)
# AutoGraph would replace the error with one of its own.
@pytest.mark.parametrize(
  'wrap', [lambda f: f, functools.partial(tf.function, autograph=False)]
)
def test_members_must_divide_the_batch(wrap, kind, shape):
  arguments = (7, 3) if len(shape) == 4 else (7,)
  layer = kind(*arguments, ensemble_size=2, name='mine')
  with refused('batch of mine', 5, '2 members'):
    wrap(layer)(_inputs(*shape))


@pytest.mark.parametrize('argument', ['rank', 'ensemble_size'])
@pytest.mark.parametrize('value', [0, -1, 2.0, '2', None])
@pytest.mark.parametrize(
  'make',
  [
    functools.partial(layers.Conv2DBatchEnsemble, 7, 3),
    functools.partial(layers.DenseBatchEnsemble, 7),
  ],
)
def test_refuses_sizes_that_are_no_positive_integers(make, value, argument):
  with refused(argument, value):
    make(**{argument: value})
