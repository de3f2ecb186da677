"""Tests of training networks from Python code, with an interruption."""

import logging
import sys
import types

import uncertainty_distill as ud

import numpy as np
import pytest
import run_weights
import tf_keras
from refusals import refused


def _config(**values):
  return ud.experiment(
    'digits_wrn10_1',
    {
      'trainer.train_steps': 4,
      'trainer.steps_per_loop': 2,
      'task.objective.kind': 'cross_entropy',
      'task.model.ensemble_size': 2,
      **values,
    },
  )


def test_a_run_of_another_network_is_not_continued(
  tmp_path, monkeypatch, interrupted_after
):
  def build(image_shape, num_classes):
    x = images = tf_keras.Input(image_shape)
    for layer in tf_keras.layers.Flatten(), *map(tf_keras.layers.Dense, sizes):
      x = layer(x)
    return tf_keras.Model(images, tf_keras.layers.Dense(num_classes)(x))

  module = types.ModuleType('my_nets')
  module.build = build
  monkeypatch.setitem(sys.modules, 'my_nets', module)
  config = _config(
    **{
      'task.model.architecture.type': 'custom',
      'task.model.function': 'my_nets:build',
    }
  )
  sizes = [5]
  with interrupted_after(2), pytest.raises(KeyboardInterrupt):
    ud.train(config, tmp_path / 'run')
  for others in [5, 10], [6]:
    sizes[:] = others
    with refused('run folder', str(tmp_path / 'run')):
      ud.train(config, tmp_path / 'run')
  sizes[:] = [5]
  assert ud.train(config, tmp_path / 'run').is_complete


def test_float16_is_refused(tmp_path):
  images = tf_keras.Input((16, 16, 3))
  x = tf_keras.layers.Flatten()(images)
  x = tf_keras.layers.Dense(4, dtype='mixed_float16')(x)
  model = tf_keras.Model(images, tf_keras.layers.Dense(10, dtype='float32')(x))
  with refused('task.model.architecture', 'float16'):
    ud.train(_config(), tmp_path / 'run', model=model)


def test_a_network_keeps_its_types(tmp_path, caplog):
  images = tf_keras.Input((16, 16, 3))
  x = tf_keras.layers.Dense(10)(tf_keras.layers.Flatten()(images))
  config = _config(**{'runtime.mixed_precision_dtype': 'bfloat16'})
  with caplog.at_level(logging.WARNING):
    run = ud.train(config, tmp_path, model=tf_keras.Model(images, x))
  assert 'runtime.mixed_precision_dtype' in caplog.text
  types_of_layers = {layer.compute_dtype for layer in run.load_model().layers}
  assert types_of_layers == {'float32'}


def test_an_adapted_normalization_is_restored(tmp_path, interrupted_after):
  norm = tf_keras.layers.Normalization()
  norm.adapt(np.random.default_rng(1).uniform(90, 99, (64, 16, 16, 3)))
  images = tf_keras.Input((16, 16, 3))
  x = tf_keras.layers.Conv2D(4, 3, strides=2)(norm(images))
  x = tf_keras.layers.Dense(10)(tf_keras.layers.Flatten()(x))
  plain = tf_keras.Model(images, x)
  config = _config()
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
