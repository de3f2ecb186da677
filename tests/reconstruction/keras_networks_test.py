"""Tests of reconstructing networks other than Wide ResNets."""

from uncertainty_distill import models, reconstruction

import numpy as np
import plain_networks
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused


def _network():
  """Returns a network with depthwise and separable layers and a squeeze."""
  keras = tf_keras.layers
  images = tf_keras.Input((12, 12, 3))
  x = keras.Normalization(name='scaled')(images)
  x = keras.Conv2D(5, 1, activation='relu', name='first')(x)
  x = keras.Conv2D(6, 3, activation='relu', name='stem')(x)
  x = keras.DepthwiseConv2D(3, padding='same', name='depthwise')(x)
  x = keras.BatchNormalization(scale=False, name='norm')(x)
  squeezed = keras.GlobalAveragePooling2D(keepdims=True)(x)
  x = x * keras.Conv2D(6, 1, activation='sigmoid', name='squeeze')(squeezed)
  x = keras.Multiply()([x, keras.Conv2D(6, 1, name='excite')(squeezed)])
  x = keras.DepthwiseConv2D(3, depth_multiplier=2, name='two_each')(x)
  x = keras.Concatenate()([x, keras.ReLU()(x)])
  x = keras.SeparableConv2D(8, 3, name='separable')(x)
  x = keras.LayerNormalization(name='layer_norm')(x)
  x = keras.GlobalAveragePooling2D()(x)
  logits = keras.Dense(4, name='logits')(x)
  return tf_keras.Model(images, logits, name='small')


def _random(seed):
  tf_keras.utils.set_random_seed(seed)
  model = _network()
  plain_networks.randomize(model, seed)
  scaled = model.get_layer('scaled')
  scaled.adapt(np.random.default_rng(seed).uniform(0, 255, (50, 12, 12, 3)))
  return model


@pytest.mark.parametrize('rank', [1, 2])
def test_a_batch_ensemble_comes_back(rank):
  source = models.batch_ensemble(
    _random(0), 3, fast_weights='normal', fast_weight_stddev=0.3
  )
  members = [models.member(source, index) for index in range(3)]
  found = reconstruction.reconstruct_network(members, rank, tolerance=1e-9)
  student = models.batch_ensemble(_network(), 3, rank)
  reconstruction.initialize(student, found)
  images = plain_networks.images(source, 4)
  plain_networks.assert_same(student(images), source(images), 1e-3)
  layers = reconstruction.compare_layers(members, [rank])
  errors = {layer.name: layer.errors[rank] for layer in layers}
  assert len(errors) == 9 and max(errors.values()) < 1e-4
  assert layers[2].shape == (3, 3, 1, 6)


def test_alignment_leaves_functions_as_they_are():
  members = [_random(seed) for seed in range(2)]
  images = plain_networks.images(members[0], 4)
  before = members[1](images, training=False)
  _, aligned = reconstruction.aligned_weights(members)
  names = [v.name.partition('/')[0] for v in members[1].weights]
  moved = {
    name
    for name, own, other in zip(names, members[1].get_weights(), aligned)
    if np.abs(own - other).max() > 0
  }
  members[1].set_weights(aligned)
  plain_networks.assert_same(members[1](images, training=False), before, 1e-4)
  # Only those between the two; what gates and concatenations take stays.
  assert moved == {'first', 'stem'}


def _followed():
  """Returns a network whose hidden channels can all change places."""
  keras = tf_keras.layers
  images = tf_keras.Input((12, 12, 3))
  x = keras.Conv2D(8, 3, activation='relu', name='stem')(images / 255.0)
  y = keras.DepthwiseConv2D(3, padding='same', name='depthwise')(x)
  y = keras.ReLU(6.0)(keras.BatchNormalization(name='norm')(y))
  x = keras.Add()([x, y])
  x = keras.LayerNormalization(name='layer_norm')(x)
  x = keras.Dense(5, name='logits')(keras.GlobalMaxPooling2D()(x))
  return tf_keras.Model(images, x)


def test_alignment_finds_a_hidden_order():
  first, other = _followed(), _followed()
  plain_networks.randomize(first)
  order = np.random.default_rng(1).permutation(8)
  axes = {(3, 3, 3, 8): 3, (3, 3, 8, 1): 2, (8, 5): 0, (8,): 0}
  other.set_weights(
    [
      np.take(w, order, axes[w.shape]) if w.shape in axes else w
      for w in first.get_weights()
    ]
  )
  images = plain_networks.images(first, 4)
  plain_networks.assert_same(
    other(images, training=False), first(images, training=False)
  )
  _, aligned = reconstruction.aligned_weights([first, other])
  for found, want in zip(aligned, first.get_weights(), strict=True):
    np.testing.assert_array_equal(found, want)


_C = tf_keras.layers


@pytest.mark.parametrize(
  'inside',
  [
    # One channel for all: a gate, a mean and what it is added to.
    lambda x: x * _C.Conv2D(1, 1, activation='sigmoid', name='gate')(x),
    lambda x: tf.reduce_mean(x, axis=-1, keepdims=True) + 0 * x,
    lambda x: _C.Conv2D(6, 1, name='wide')(tf.reduce_mean(x, 3, keepdims=True)),
    # These weights are not of channels alone.
    lambda x: _C.LayerNormalization(axis=[1, 2, 3], name='whole')(x),
    lambda x: _C.BatchNormalization(axis=1, name='rows')(x),
    lambda x: x + _C.Conv2D(6, 3, padding='same', name='same')(x),
    # As many depthwise outputs as there are filters, of a single channel.
    lambda x: _C.SeparableConv2D(6, 3, depth_multiplier=6, name='separable')(
      tf.reduce_mean(x, 3, keepdims=True)
    ),
  ],
)
def test_alignment_is_right_and_never_less_alike(inside):
  def network(seed):
    images = tf_keras.Input((6, 6, 3))
    x = inside(_C.Conv2D(6, 3, padding='same', name='stem')(images / 255.0))
    x = _C.Conv2D(4, 3, name='next')(x)
    logits = _C.Dense(3, name='logits')(_C.GlobalAveragePooling2D()(x))
    model = tf_keras.Model(images, logits)
    plain_networks.randomize(model, seed)
    return model

  def alike(weights):
    return sum(
      float(np.vdot(a, b))
      for a, b, v in zip(first.get_weights(), weights, first.weights)
      if v.trainable
    )

  first, other = network(0), network(1)
  images = plain_networks.images(first, 4)
  before, own = other(images, training=False), other.get_weights()
  _, aligned = reconstruction.aligned_weights([first, other])
  assert alike(aligned) >= alike(own) - 1e-3
  other.set_weights(aligned)
  plain_networks.assert_same(other(images, training=False), before, 1e-4)


def test_convolutions_over_time_come_back():
  def network():
    signal = tf_keras.Input((9, 5))
    x = _C.Conv1D(6, 3, activation='relu', name='time')(signal)
    logits = _C.Dense(3, name='logits')(_C.GlobalAveragePooling1D()(x))
    return tf_keras.Model(signal, logits)

  plain = network()
  plain_networks.randomize(plain, 0)
  source = models.batch_ensemble(plain, 2, fast_weight_stddev=0.3)
  members = [models.member(source, index) for index in range(2)]
  found = reconstruction.reconstruct_network(members, tolerance=1e-9)
  student = models.batch_ensemble(network(), 2)
  reconstruction.initialize(student, found)
  signals = np.random.default_rng(0).normal(size=(4, 9, 5)).astype(np.float32)
  plain_networks.assert_same(student(signals), source(signals), 1e-3)


def test_grouped_convolutions_are_refused_by_name():
  images = tf_keras.Input((8, 8, 4))
  x = tf_keras.layers.Conv2D(8, 3, groups=2, name='in_two')(images)
  logits = tf_keras.layers.Dense(3)(tf_keras.layers.Flatten()(x))
  members = [tf_keras.Model(images, logits)] * 2
  with refused('members', 'in_two', 'one group'):
    reconstruction.reconstruct_network(members)
