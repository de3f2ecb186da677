"""Tests of whole models: their members, initial weights and norms."""

import itertools

from uncertainty_distill import models

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_networks
from refusals import refused

_OPTIONS = {
  'image_shape': (16, 16, 3),
  'num_classes': 5,
  'depth': 10,
  'width': 1,
  'mean': (0.3, 0.5, 0.7),
  'stddev': (0.2, 0.25, 0.3),
}


def _model(**kwargs):
  return tiny_networks.build(**{**_OPTIONS, **kwargs})


def _images(count=6, seed=0):
  generator = np.random.default_rng(seed)
  return generator.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def _randomize_norms_and_biases(model):
  """Randomizes norms and biases, which start as zeros and ones."""
  generator = np.random.default_rng(1)
  for variable in model.variables:
    if any(kind in variable.name for kind in ('norm', 'bias')):
      variable.assign(generator.uniform(0.5, 1.5, variable.shape))


def _become_member(single, model, e, rank):
  """Gives a single network the weights of a BatchEnsemble's member."""
  for layer in filter(lambda layer: layer.weights, single.layers):
    other = model.get_layer(layer.name)
    if hasattr(layer, 'kernel'):
      alpha, gamma = (
        np.reshape(v, [rank, model.output_shape[0], -1])[:, e]
        for v in (other.alpha, other.gamma)
      )
      layer.kernel.assign(other.kernel * np.einsum('rc,rf->cf', alpha, gamma))
      if layer.use_bias:
        layer.bias.assign(other.ensemble_bias[e])
    else:
      layer.set_weights(other.get_weights())


@pytest.mark.parametrize('perturb', ['weights', 'activations'])
@pytest.mark.parametrize('ensemble_size, rank', [(4, 1), (2, 2)])
def test_batch_ensemble_is_its_members(ensemble_size, rank, perturb):
  tf_keras.utils.set_random_seed(0)
  model = _model(ensemble_size=ensemble_size, rank=rank, perturb=perturb)
  _randomize_norms_and_biases(model)
  served = tf.function(
    model, input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.uint8)]
  )
  # On a CPU, few images go through all members at once, and many go through one
  # member after the other.
  images = {count: _images(count) for count in (2, 9)}
  single = _model()
  for e in range(ensemble_size):
    _become_member(single, model, e, rank)
    for count, batch in images.items():
      want = single(batch, training=False)[0]
      scale = np.abs(want).max()
      for logits in model(batch, training=False), served(batch):
        assert logits.shape == (ensemble_size, count, 5)
        np.testing.assert_allclose(logits[e] / scale, want / scale, atol=1e-4)
        assert np.abs(logits[0] - logits[1]).max() > 0.01


def test_equal_members_train_as_one_network():
  # The members share BatchNorm. The statistics of equal members are those of
  # one member alone.
  single, model = _model(), _model(ensemble_size=3, fast_weight_stddev=0.0)
  for layer in single.layers:
    weights = layer.get_weights()
    if weights:
      other = model.get_layer(layer.name)
      kept = other.get_weights()
      if hasattr(layer, 'kernel'):
        kept[0] = weights[0]  # alpha, gamma are 1 and the bias is 0.
      other.set_weights(kept if hasattr(layer, 'kernel') else weights)
  images = _images()
  want = single(images, training=True)[0]
  logits = model(images, training=True)
  np.testing.assert_allclose(logits, [want] * 3, rtol=1e-3, atol=1e-3)
  for name in 'group1_block0_a_norm', 'final_norm':
    np.testing.assert_allclose(
      model.get_layer(name).moving_mean,
      single.get_layer(name).moving_mean,
      rtol=1e-3,
      atol=1e-4,
    )
  # The moving mean began at 0, but the mean of the stem's channels is not 0.
  first = single.get_layer('group0_block0_a_norm')
  assert np.abs(first.moving_mean).max() > 1e-3
  assert first.momentum == 0.9 and first.epsilon == 1e-5


def test_one_member_is_a_plain_network():
  model = _model(ensemble_size=1)
  assert not models.fast_weights(model)
  kinds = {type(layer) for layer in model.layers if hasattr(layer, 'kernel')}
  assert kinds == {tf_keras.layers.Conv2D, tf_keras.layers.Dense}
  assert model(_images()).shape == (1, 6, 5)


def test_deep_ensemble_stacks_in_order():
  networks = [_model(), _model(ensemble_size=2), _model()]
  images = _images()
  ensemble = models.DeepEnsemble(networks)
  logits = ensemble(images)
  want = [
    model(images)[e]
    for model, e in zip(
      [networks[0], networks[1], networks[1], networks[2]], [0, 0, 1, 0]
    )
  ]
  np.testing.assert_array_equal(logits, want)
  assert len(ensemble.weights) == sum(len(model.weights) for model in networks)
  # In training mode, BatchNorm uses the batch's statistics.
  trained = ensemble(images, training=True)
  assert np.abs(trained - logits).max() > 0.01


def test_deep_ensemble_refuses_to_be_empty():
  with refused('models', []):
    models.DeepEnsemble([])


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_standardizes_inside(dtype):
  images = _images().astype(dtype)
  plain = _model()
  standardize = tf_keras.Model(
    plain.input, plain.get_layer('standardize').output
  )
  mean, stddev = np.array(_OPTIONS['mean']), np.array(_OPTIONS['stddev'])
  want = (images / 255.0 - mean) / stddev
  np.testing.assert_allclose(standardize(images), want, atol=1e-5)


def test_floats_have_the_logits_of_bytes():
  model, images = _model(ensemble_size=2), _images()
  np.testing.assert_array_equal(model(images.astype(np.float32)), model(images))


@pytest.mark.parametrize('ensemble_size', [1, 2])
def test_logits_have_a_gradient_by_float_images(ensemble_size):
  tf_keras.utils.set_random_seed(0)
  model = _model(ensemble_size=ensemble_size)
  images = tf.Variable(_images(9), dtype=tf.float32)
  toward = np.random.default_rng(1).choice([-1.0, 1.0], images.shape)

  def logits():
    return tf.reduce_sum(model(images, training=False)[-1, :, 0])

  with tf.GradientTape() as tape:
    value = logits()
  slope = np.sum(tape.gradient(value, images) * toward)
  # The images move by a hundredth of a gray level.
  images.assign_add(0.01 * toward)
  assert float(logits() - value) == pytest.approx(0.01 * slope, rel=0.1)
  assert abs(slope) > 0.01


@pytest.mark.parametrize('rank', [1, 2])
def test_fast_weights_are_drawn_for_each_layer(rank):
  tf_keras.utils.set_random_seed(0)
  model = _model(ensemble_size=4, rank=rank, fast_weight_stddev=0.3)
  fast = [np.ravel(variable) for variable in models.fast_weights(model)]
  for one, other in itertools.combinations(fast, 2):
    # A few of the floats may agree by chance.
    assert np.isin(one, other).mean() < 0.01
  values = np.concatenate(fast)
  assert len(np.unique(values)) > 0.99 * len(values) > 2000
  assert values.mean() == pytest.approx(1.0, abs=0.03)
  assert values.std() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize('ensemble_size', [1, 4])
def test_kernels_are_he_normal(ensemble_size):
  tf_keras.utils.set_random_seed(0)
  model = _model(width=2, ensemble_size=ensemble_size)
  kernels = [v.numpy() for v in model.trainable_variables if 'kernel' in v.name]
  assert len(kernels) == 11
  for kernel in kernels:
    fan_in = np.prod(kernel.shape[:-1])
    assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.15)
  for one, other in itertools.combinations(kernels, 2):
    assert np.isin(one, other).mean() < 0.01


def test_seed_decides_the_weights():
  def weights(seed):
    tf_keras.utils.set_random_seed(seed)
    return np.concatenate(
      [np.ravel(v) for v in _model(ensemble_size=2).trainable_variables]
    )

  first = weights(1)
  np.testing.assert_array_equal(first, weights(1))
  assert np.abs(first - weights(2)).max() > 0.1


@pytest.mark.parametrize('ensemble_size', [1, 2])
def test_compiles(ensemble_size):
  model = _model(ensemble_size=ensemble_size)
  _randomize_norms_and_biases(model)
  images = tf.constant(_images())
  compiled = tf.function(
    lambda images: model(images, training=False), jit_compile=True
  )
  want = model(images, training=False)
  np.testing.assert_allclose(
    compiled(images), want, rtol=1e-4, atol=1e-4 * np.abs(want).max()
  )


@pytest.mark.parametrize('ensemble_size', [1, 2])
@pytest.mark.parametrize('synchronized', [False, True])
def test_norms_are_as_configured(synchronized, ensemble_size):
  model = _model(
    ensemble_size=ensemble_size,
    batch_norm_momentum=0.8,
    batch_norm_epsilon=1e-3,
    sync_batch_norm=synchronized,
  )
  kind = tf_keras.layers.BatchNormalization
  norms = [layer for layer in model.layers if isinstance(layer, kind)]
  assert len(norms) == 7
  assert {(n.momentum, n.epsilon, n.synchronized) for n in norms} == {
    (0.8, 1e-3, synchronized)
  }
