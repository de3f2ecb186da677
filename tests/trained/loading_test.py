"""Tests of teachers: from run folders and SavedModels, and what is refused."""

import os
import shutil

from uncertainty_distill import (
  configs,
  data,
  errors,
  exporting,
  models,
  runs,
  trained,
)
from uncertainty_distill.trained import saved_models

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_STEPS = 5


def _config(**model):
  config = configs.load_config('digits_wrn10_1')
  config.trainer.train_steps = _STEPS
  config = configs.resolve(config, data.open_dataset('digits'))
  config.task.model.override(model)
  return config


def _save(path, model, step):
  """Writes a checkpoint of what Model Garden's trainer keeps in one."""
  optimizer = tf_keras.optimizers.SGD(0.1, momentum=0.9)
  optimizer.build(model.trainable_variables)
  global_step = tf.Variable(step, dtype=tf.int64)
  checkpoint = tf.train.Checkpoint(
    global_step=global_step, model=model, optimizer=optimizer
  )
  manager = tf.train.CheckpointManager(checkpoint, path, max_to_keep=2)
  manager.save(step)


def _run(path, step=_STEPS, seed=0, **model):
  """Makes a run folder; returns its model, with random weights."""
  config = _config(**model)
  runs.claim_run(str(path), config)
  model = models.build_model(**config.task.model.as_dict())
  generator = np.random.default_rng(seed)
  model.set_weights(
    [
      w * generator.uniform(0.5, 1.5, w.shape) + 0.01
      for w in model.get_weights()
    ]
  )
  # Of moderate logits, whose probabilities are not 0 in float32.
  kernel = model.get_layer('logits').kernel
  kernel.assign(0.03 * kernel)
  if step:
    _save(str(path), model, step)
  return model


def _images():
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(name='pair', scope='module')
def fixture_trained(tmp_path_factory):
  """Two complete runs: a single network and a BatchEnsemble of 2."""
  folder = tmp_path_factory.mktemp('runs')
  paths = [str(folder / name) for name in ('single', 'batch_ensemble')]
  models = [
    _run(paths[0], ensemble_size=1),
    _run(paths[1], seed=1, ensemble_size=2),
  ]
  return paths, models


def _logits(model):
  return model(_images(), training=False).numpy()


def test_a_run_is_loaded_back(pair):
  for path, model, members in zip(*pair, (1, 2)):
    loaded = trained.load_ensemble([path], '--teacher')
    assert (loaded.ensemble_size, loaded.num_classes) == (members, 10)
    assert loaded.image_shape == (16, 16, 3)
    logits = _logits(loaded.model)
    assert logits.shape == (members, 4, 10) and np.ptp(logits) > 0.1
    np.testing.assert_array_equal(logits, _logits(model))


def test_runs_are_stacked_in_order(pair):
  paths, models = pair
  order = [1, 0, 1]
  loaded = trained.load_ensemble(
    [paths[i] for i in order], '--teacher', [16, 16, 3], 10
  )
  want = np.concatenate([_logits(models[i]) for i in order])
  assert loaded.ensemble_size == len(want) == 5
  np.testing.assert_array_equal(_logits(loaded.model), want)


def test_the_newest_checkpoint_counts(tmp_path):
  old = _run(tmp_path, step=_STEPS - 1)
  new = _run(tmp_path, step=_STEPS, seed=1)
  loaded = trained.load_ensemble([str(tmp_path)], '--teacher')
  np.testing.assert_array_equal(_logits(loaded.model), _logits(new))
  assert np.abs(_logits(old) - _logits(new)).max() > 1e-3


def test_a_saved_model_is_a_member_too(pair, tmp_path):
  paths, models = pair
  served = exporting.export_saved_model(
    models[1], (16, 16, 3), str(tmp_path / 'served')
  )
  loaded = trained.load_ensemble([served, paths[0]], '--teacher')
  assert loaded.ensemble_size == 3 and loaded.num_classes == 10
  assert loaded.image_shape == (16, 16, 3)
  # The logits differ by a constant of each example, the probabilities do not.
  want = np.concatenate([_logits(models[1]), _logits(models[0])])
  probs = tf.nn.softmax(_logits(loaded.model))
  np.testing.assert_allclose(probs, tf.nn.softmax(want), atol=5e-6)
  traced = tf.function(loaded.model)(_images())
  np.testing.assert_allclose(tf.nn.softmax(traced), probs, atol=5e-6)


def test_teacher_that_is_served_alone(pair, tmp_path):
  served = exporting.export_saved_model(
    pair[1][0], (16, 16, 3), str(tmp_path / 'served')
  )
  model = saved_models.ServedModel(served)
  logits = model(_images())
  assert logits.shape == (1, 4, 10)
  np.testing.assert_allclose(
    logits, tf.nn.log_softmax(_logits(pair[1][0])), rtol=1e-4, atol=1e-4
  )


def _missing(path):
  del path


def _empty(path):
  os.mkdir(path)


def _not_a_run(path):
  os.mkdir(path)
  with open(os.path.join(path, 'notes.txt'), 'w', encoding='utf-8') as file:
    file.write('other things')


def _not_begun(path):
  runs.claim_run(path, _config(ensemble_size=1))


def _half_trained(path):
  _not_begun(path)
  tf.train.Checkpoint().save(os.path.join(path, 'ckpt'))  # Of step 1.


def _of_another_model(path):
  runs.claim_run(path, _config(ensemble_size=2))
  single = _config(ensemble_size=1).task.model
  _save(path, models.build_model(**single.as_dict()), _STEPS)


def _undescribed(path):
  os.mkdir(path)
  with open(os.path.join(path, 'params.yaml'), 'w', encoding='utf-8') as file:
    file.write('task: {model: {wideness: 3}}')


def _damaged_saved_model(path):
  os.mkdir(path)
  with open(os.path.join(path, 'saved_model.pb'), 'wb') as file:
    file.write(b'damaged')


def _half_a_saved_model(path):
  module = tf.Module()
  module.weight = tf.Variable(1.0)
  tf.saved_model.save(module, path)
  shutil.rmtree(os.path.join(path, 'variables'))


def _other_saved_model(path):
  module = tf.Module()
  module.double = tf.function(
    lambda x: {'doubled': 2 * x}, [tf.TensorSpec([None], name='x')]
  )
  tf.saved_model.save(
    module, path, signatures={'serving_default': module.double}
  )


def _saved_model_without_signatures(path):
  tf.saved_model.save(tf.Module(), path)


@pytest.mark.parametrize(
  'make, message',
  [
    (_missing, '--teacher: got .*params.yaml; this is a missing folder'),
    (_empty, '--teacher: got .*params.yaml; this is an empty folder'),
    (_not_a_run, '--teacher: got .*params.yaml; this is not a run folder'),
    (_half_trained, '--teacher: got .*trained to its end.*step 1 of 5'),
    (_not_begun, '--teacher: got .*trained to its end.*step 0 of 5'),
    (_of_another_model, 'run folder: .*params.yaml describes'),
    (_undescribed, 'task.model.wideness in .*known name'),
    (_damaged_saved_model, 'SavedModel: got .*one that can be loaded'),
    (_half_a_saved_model, 'SavedModel: got .*one that can be loaded'),
    (_other_saved_model, 'SavedModel: .*takes images.*takes float32'),
    (_saved_model_without_signatures, 'signature serving_default; .*none'),
  ],
)
def test_refuses_what_is_no_trained_model(tmp_path, make, message):
  path = str(tmp_path / 'there')
  make(path)
  with pytest.raises(errors.InputError, match=message) as raised:
    trained.load_ensemble([path], '--teacher')
  assert path in str(raised.value) and '\n' not in str(raised.value)


def test_refuses_no_folders():
  with pytest.raises(errors.InputError, match="--teacher: got '', wants at l"):
    trained.load_ensemble([], '--teacher')


@pytest.mark.parametrize(
  'other, message',
  [
    ({'num_classes': 7}, 'a model of 10 classes; this one has 7'),
    (
      {'image_shape': (8, 8, 3)},
      r'a model of images \[16, 16, 3\]; this one takes \[8, 8, 3\]',
    ),
  ],
)
def test_refuses_models_that_do_not_fit(tmp_path, pair, other, message):
  path, served = str(tmp_path / 'other'), str(tmp_path / 'served')
  model = _run(path, ensemble_size=1, **other)
  exporting.export_saved_model(model, model.input_shape[1:], served)
  for folder in path, served:
    with pytest.raises(errors.InputError, match=message) as raised:
      trained.load_ensemble([folder], '--teacher', (16, 16, 3), 10)
    assert folder in str(raised.value)
  # The first model says what the others must be like.
  with pytest.raises(errors.InputError, match=message):
    trained.load_ensemble([pair[0][0], served], '--teacher')
