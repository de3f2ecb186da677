"""Tests of the networks of `tf_keras.applications`."""

from uncertainty_distill import configs

import numpy as np
import tf_keras
from refusals import refused


def _config(weights='', application='MobileNetV2', members=1):
  config = configs.ModelConfig(
    image_shape=(32, 32, 3),
    num_classes=7,
    mean=(0.5, 0.4, 0.3),
    stddev=(0.2, 0.2, 0.3),
    ensemble_size=members,
  )
  choice = config.architecture
  choice.type = 'keras_application'
  choice.keras_application.application = application
  choice.keras_application.weights = weights
  return config


def test_it_standardizes_unless_the_weights_want_otherwise():
  images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)

  def first(config):
    model = config.build()
    conv = next(x for x in model.layers if x.weights)
    return tf_keras.Model(model.input, conv.input)(images).numpy()

  scaled = images / 255.0
  standardized = (scaled - [0.5, 0.4, 0.3]) / [0.2, 0.2, 0.3]
  np.testing.assert_allclose(first(_config()), standardized, atol=1e-5)
  np.testing.assert_allclose(first(_config('a.h5')), 2 * scaled - 1, atol=1e-6)


def test_batch_norm_has_the_momentum_of_the_experiment():
  config = _config()
  config.batch_norm_momentum = 0.7
  config.sync_batch_norm = True
  norms = [
    layer
    for layer in config.build().layers
    if isinstance(layer, tf_keras.layers.BatchNormalization)
  ]
  assert norms and {x.momentum for x in norms} == {0.7}
  assert {x.synchronized for x in norms} == {True}
  assert {x.epsilon for x in norms} == {1e-3}


def test_training_starts_from_a_file_of_weights(tmp_path):
  # Keras names and saves a network without its top like this.
  body = tf_keras.applications.MobileNetV2(
    include_top=False, weights=None, input_shape=(32, 32, 3), pooling='avg'
  )
  rng = np.random.default_rng(0)
  body.set_weights([rng.uniform(0.1, 1, w.shape) for w in body.get_weights()])
  file = str(tmp_path / 'body.h5')
  body.save_weights(file)
  config = _config(file)
  model = config.build()
  *_, kernel, bias = [w.numpy() for w in model.weights]
  config.load_initial_weights(model)
  weights = model.get_weights()
  np.testing.assert_array_equal(weights[-2], kernel)
  np.testing.assert_array_equal(weights[-1], bias)
  for found, expected in zip(weights[:-2], body.get_weights(), strict=True):
    np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_used_is_refused(tmp_path):
  with refused('application', 'MobileNetV9', 'MobileNetV2'):
    _config(application='MobileNetV9').build()
  with refused('application', 'ResNet', 'tf_keras.applications'):
    _config(application='ResNet').build()
  config = _config(application='VGG16')
  config.image_shape = (16, 16, 3)
  with refused('image_shape', [16, 16, 3], 'VGG16'):
    config.build()
  for file in 'missing.h5', 'other.h5':
    tf_keras.Sequential(
      [tf_keras.layers.Dense(2, input_shape=(3,))]
    ).save_weights(str(tmp_path / 'other.h5'))
    config = _config(str(tmp_path / file))
    with refused('task.model.weights', str(tmp_path / file), 'MobileNetV2'):
      config.load_initial_weights(config.build())
