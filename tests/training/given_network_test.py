"""Tests of training networks from Python code, with an interruption."""

import uncertainty_distill as ud

import numpy as np
import pytest
import run_weights
import tf_keras


def test_an_adapted_normalization_is_restored(tmp_path, interrupted_after):
  norm = tf_keras.layers.Normalization()
  norm.adapt(np.random.default_rng(1).uniform(90, 99, (64, 16, 16, 3)))
  images = tf_keras.Input((16, 16, 3))
  x = tf_keras.layers.Conv2D(4, 3, strides=2)(norm(images))
  x = tf_keras.layers.Dense(10)(tf_keras.layers.Flatten()(x))
  plain = tf_keras.Model(images, x)
  config = ud.experiment(
    'digits_wrn10_1',
    {
      'trainer.train_steps': 4,
      'trainer.steps_per_loop': 2,
      'task.objective.kind': 'cross_entropy',
      'task.model.ensemble_size': 2,
    },
  )
  whole = ud.train(config, tmp_path / 'whole', model=plain)
  with interrupted_after(2), pytest.raises(KeyboardInterrupt):
    ud.train(config, tmp_path / 'paused', model=plain)
  paused = ud.train(config, tmp_path / 'paused', model=plain)
  run_weights.assert_same_bits(paused, whole)
  (restored,) = [
    layer
    for layer in whole.load_model().layers
    if isinstance(layer, tf_keras.layers.Normalization)
  ]
  np.testing.assert_array_equal(restored.mean, norm.mean)
