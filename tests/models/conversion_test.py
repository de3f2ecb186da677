"""Tests of turning networks into BatchEnsembles and members into networks."""

import subprocess
import sys
import types

from uncertainty_distill import layers, models

import numpy as np
import plain_networks
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused

_MEMBERS = 2


@pytest.fixture(name='plain', scope='module')
def _plain():
  tf_keras.utils.set_random_seed(0)
  model = plain_networks.nested()
  plain_networks.randomize(model)
  return model


def _num_parameters(weights):
  return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize('rank', [1, 2])
@pytest.mark.parametrize('norm', ['shared', 'member'])
def test_without_perturbation_each_member_is_the_plain_network(
  plain, rank, norm
):
  images = plain_networks.images(plain)
  converted = models.batch_ensemble(
    plain, _MEMBERS, rank, fast_weights='ones', norm=norm
  )
  want = plain(images, training=False)
  plain_networks.assert_same(converted(images), [want] * _MEMBERS)
  plain_networks.assert_same(converted.each_member(images), [want] * _MEMBERS)
  # The given network is unchanged: each of its layers still has one output.
  assert plain.get_layer('logits').output.shape == (None, 5)


@pytest.mark.parametrize('perturb', ['weights', 'activations'])
def test_members_are_plain_networks(plain, perturb):
  images = plain_networks.images(plain)
  converted = models.batch_ensemble(
    plain, _MEMBERS, 2, norm='member', perturb=perturb
  )
  plain_networks.randomize(converted, 1)
  logits = converted(images, training=False)
  assert np.abs(logits[0] - logits[1]).max() > 0.01
  kept = plain.get_weights()
  for e in range(_MEMBERS):
    member = models.member(converted, e)
    plain_networks.assert_same(logits[e], member(images, training=False))
    assert not models.fast_weights(member)
    assert member.output_shape == plain.output_shape
    assert member.count_params() == plain.count_params()
    kinds = {type(layer) for layer in member.submodules}
    assert tf_keras.layers.SeparableConv2D in kinds
    # The original network gives the same logits with the member's weights.
    plain.set_weights(member.get_weights())
    plain_networks.assert_same(logits[e], plain(images, training=False))
  plain.set_weights(kept)


def test_what_is_shared_stays_shared(plain):
  converted = models.batch_ensemble(plain, _MEMBERS)
  for model in converted, models.member(converted, 1):
    body = model.get_layer('body')
    assert body.get_layer('shared') is model.get_layer('shared')
    assert len(model.get_layer('stem').inbound_nodes) >= 2
  vectors = _num_parameters(models.fast_weights(converted))
  biases = [
    layer.ensemble_bias
    for layer in converted.submodules
    if isinstance(layer, layers.BatchEnsembleLayer) and layer.use_ensemble_bias
  ]
  # The plain network has each bias only once.
  more = _num_parameters(biases) * (_MEMBERS - 1) // _MEMBERS
  assert converted.count_params() == plain.count_params() + vectors + more
  # The input and output channels of each matrix, by hand: grouped, of_channels,
  # two of the stem's separable, five of the body, sequence, logits.
  channels = [4 + 8, 8 + 16, 16 + 32, 32 + 8, *[8 + 8] * 5, 8 + 6, 6 + 5]
  assert vectors == _MEMBERS * sum(channels)


def test_all_members_train(plain):
  converted = models.batch_ensemble(plain, _MEMBERS, norm='member')
  with tf.GradientTape() as tape:
    logits = converted(plain_networks.images(plain), training=True)
    loss = tf.reduce_sum(tf.sin(logits))
  for gradient in tape.gradient(loss, converted.trainable_variables):
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.slow
def test_saved_and_loaded_and_served(plain, tmp_path):
  converted = models.batch_ensemble(plain, _MEMBERS, norm='member')
  plain_networks.randomize(converted, 1)
  images = plain_networks.images(plain, 9)
  want = converted(images)
  converted.save(tmp_path / 'saved.keras')
  # The file is loaded in a new process, which has not used the class yet.
  code = (
    'import numpy, sys\n'
    'from uncertainty_distill import models\n'
    'import tf_keras\n'
    f'loaded = tf_keras.models.load_model({str(tmp_path / "saved.keras")!r})\n'
    'assert type(loaded) is models.BatchEnsemble\n'
    f'images = numpy.load({str(tmp_path / "images.npy")!r})\n'
    f'found = {str(tmp_path / "found.npz")!r}\n'
    'member = models.member(loaded, 1)\n'
    'numpy.savez(found, logits=loaded(images), member=member(images))\n'
  )
  np.save(tmp_path / 'images.npy', images)
  subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
  found = np.load(tmp_path / 'found.npz')
  np.testing.assert_array_equal(found['logits'], want)
  plain_networks.assert_same(found['member'], want[1])
  converted.export(str(tmp_path / 'served'))
  served = tf.saved_model.load(str(tmp_path / 'served'))
  plain_networks.assert_same(served.serve(images), want)


def test_sequential_networks_of_features():
  layer = tf_keras.layers
  model = tf_keras.Sequential(
    [
      tf_keras.Input((6, 6, 3)),
      layer.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0]),
      layer.Conv2D(4, 3),
      tf_keras.Sequential([layer.Dense(2), layer.ReLU()]),
    ]
  )
  images = plain_networks.images(model)
  converted = models.batch_ensemble(model, 3, fast_weights='ones')
  assert converted(images).shape == (3, 3, 4, 4, 2)
  plain_networks.assert_same(converted(images), [model(images)] * 3)
  plain_networks.assert_same(models.member(converted, 2)(images), model(images))


def test_grouped_convolutions_of_unequal_strides():
  plain = tf_keras.Sequential(
    [
      tf_keras.Input((8, 8, 3)),
      tf_keras.layers.Conv2D(6, 3, strides=(2, 1), groups=3),
    ]
  )
  model = models.batch_ensemble(plain, 2, fast_weights='ones')
  images = plain_networks.images(plain)
  plain_networks.assert_same(model(images), [plain(images)] * 2)


def test_dense_layers_take_integers():
  images = tf_keras.Input((4,), dtype='uint8')
  plain = tf_keras.Model(images, _dense('logits')(images))
  model = models.batch_ensemble(plain, 2, fast_weights='ones')
  rows = np.arange(12, dtype=np.uint8).reshape(3, 4)
  plain_networks.assert_same(model(rows), [plain(rows)] * 2)


def test_adapted_normalization_is_kept():
  norm = tf_keras.layers.Normalization()
  norm.adapt(np.array([[1.0, 5.0], [3.0, 9.0]], np.float32))
  model = tf_keras.Sequential([tf_keras.Input((2,)), norm, _dense('logits')])
  rows = np.array([[2.0, 8.0], [0.0, 1.0]], np.float32)
  converted = models.batch_ensemble(model, 2, fast_weights='ones')
  plain_networks.assert_same(converted(rows), [model(rows)] * 2)
  plain_networks.assert_same(models.member(converted, 0)(rows), model(rows))
  # Weights may be drawn anew, but the statistics of the data are kept.
  drawn = models.batch_ensemble(model, 2, keep_weights=False)
  np.testing.assert_array_equal(
    drawn.get_layer(norm.name).mean, np.reshape([2.0, 7.0], [1, 2])
  )


def test_networks_of_automatic_names_are_matched():
  def build():
    layer = tf_keras.layers
    images = tf_keras.Input((8, 8, 3))
    x = layer.Conv2D(4, 3)(images)
    inner = tf_keras.Sequential(
      [layer.Conv2D(4, 3), layer.BatchNormalization()]
    )
    x = layer.Conv2D(4, 3)(inner(x) + layer.Conv2D(4, 3)(x))
    return tf_keras.Model(images, layer.Dense(2)(layer.Flatten()(x)))

  model = models.batch_ensemble(
    build(), 2, fast_weights='ones', keep_weights=False
  )
  plain = build()
  names = [layer.name for layer in plain.layers if layer.weights]
  assert not set(names) <= {layer.name for layer in model.layers}
  models.set_plain_weights(model, plain)
  images = plain_networks.images(plain)
  plain_networks.assert_same(model(images), [plain(images)] * 2)


def _dense(name):
  return tf_keras.layers.Dense(3, name=name)


def _with(layer, shape=(8, 8, 3)):
  inner = tf_keras.Sequential([tf_keras.Input(shape), layer], name='inner')
  images = tf_keras.Input(shape)
  return tf_keras.Model(images, _dense('logits')(inner(images)))


def test_layers_that_are_not_known_are_refused_by_their_path():
  layer = tf_keras.layers.Conv2DTranspose(2, 3, name='up')
  model = _with(layer)
  with refused('inner/up', 'Conv2DTranspose') as caught:
    models.batch_ensemble(model, 2)
  assert 'keep' in str(caught.value)
  images = plain_networks.images(model)
  for name in 'up', 'inner/up':
    converted = models.batch_ensemble(
      model, 2, fast_weights='ones', keep={name: 'shared'}
    )
    plain_networks.assert_same(converted(images), [model(images)] * 2)
    assert len(models.fast_weights(converted)) == 2


def test_a_known_layer_may_be_shared_as_well():
  model = _with(tf_keras.layers.Conv2D(2, 3, name='conv'))
  converted = models.batch_ensemble(model, 2, keep={'logits': 'shared'})
  assert type(converted.get_layer('logits')) is tf_keras.layers.Dense
  assert len(models.fast_weights(converted)) == 2


def test_refuses_what_it_cannot_convert(plain):
  images = tf_keras.Input((4,))
  two = tf_keras.Model(images, [_dense('a')(images), _dense('b')(images)])
  with refused(f'the number of outputs of {two.name}', 2):
    models.batch_ensemble(two, 2)
  # A stand-in for a class of Keras 3, which may not import beside Keras 2.
  kind = types.new_class('Functional')
  kind.__module__ = 'keras.src.models.functional'
  with refused('model', 'Functional') as caught:
    models.batch_ensemble(kind(), 2)
  assert 'tf_keras' in caught.value.hint
  with refused('model', 'Sequential'):
    models.batch_ensemble(tf_keras.Sequential([_dense('a')]), 2)
  flat = tf_keras.Sequential([images, tf_keras.layers.ReLU()], name='flat')
  with refused('model', 'flat'):
    models.batch_ensemble(flat, 2)
  with refused('norm', 'own', 'shared, member'):
    models.batch_ensemble(plain, 2, norm='own')
  with refused('keep', 'stem/nrom') as caught:
    models.batch_ensemble(plain, 2, keep={'stem/nrom': 'shared'})
  assert 'stem/norm' in caught.value.hint
  with refused("keep['logits']", 'frozen', 'shared'):
    models.batch_ensemble(plain, 2, keep={'logits': 'frozen'})
  with refused('rank', 9):
    models.batch_ensemble(plain, 2, 9)
  slopes = tf_keras.layers.Dense(2, activation=tf_keras.layers.PReLU())
  with refused('inner/' + slopes.name, 'PReLU') as caught:
    models.batch_ensemble(_with(slopes), 2)
  assert 'own' in caught.value.hint


def test_refuses_members_that_are_not_there(plain):
  with refused('model', 'Functional'):
    models.member(plain, 0)
  converted = models.batch_ensemble(plain, 2)
  for index in 2, -1:
    with refused('index', index, 'from 0 to 1'):
      models.member(converted, index)


def test_signs_are_in_the_layer_that_images_come_to():
  layer = tf_keras.layers
  images = tf_keras.Input((6, 6, 2))
  inside = tf_keras.Sequential(
    [tf_keras.Input((6, 6, 3)), layer.Conv2D(3, 3)], name='body'
  )
  features = inside(layer.Conv2D(3, 3, padding='same', name='stem')(images))
  logits = layer.Dense(4)(layer.Flatten()(features))
  model = models.batch_ensemble(
    tf_keras.Model(images, logits), 2, fast_weights='first_layer_signs'
  )
  signed = [
    weight.name
    for weight in models.fast_weights(model)
    if (weight.numpy() != 1).any()
  ]
  assert signed and all('stem' in name for name in signed)
