"""Tests of trained models of every kind, and of what is refused."""

import hashlib
import os
import shutil

from uncertainty_distill import configs, data, exporting, runs, trained
from uncertainty_distill.io import files

import numpy as np
import pytest
import refusals
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
  """Writes a checkpoint with the same objects as Model Garden's trainer."""
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
  model = config.task.model.build()
  generator = np.random.default_rng(seed)
  model.set_weights(
    [
      w * generator.uniform(0.5, 1.5, w.shape) + 0.01
      for w in model.get_weights()
    ]
  )
  # The logits are moderate, so that no probability is 0 in float32.
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


def _open(*paths):
  return trained.open_trained([str(path) for path in paths], 'teacher')


def _logits(model):
  return model(_images(), training=False).numpy()


def test_a_run_is_opened_by_its_folder(pair):
  for path, model, members in zip(*pair, (1, 2)):
    opened = _open(path)
    assert isinstance(opened, trained.Run) and opened.paths == (path,)
    assert (opened.ensemble_size, opened.num_classes) == (members, 10)
    assert opened.image_shape == (16, 16, 3)
    assert opened.class_names == tuple('0123456789')
    assert opened.config == runs.open_run(path, 'teacher').config
    logits = _logits(opened.ensemble())
    assert logits.shape == (members, 4, 10) and np.ptp(logits) > 0.1
    np.testing.assert_array_equal(logits, _logits(model))
    (network,) = opened.networks()
    for weight, other in zip(network.get_weights(), model.get_weights()):
      np.testing.assert_array_equal(weight, other)


def test_several_stand_side_by_side_in_order(pair):
  paths, models = pair
  order = [1, 0, 1]
  opened = _open(*(paths[i] for i in order))
  opened.check_fits([16, 16, 3], 10)
  want = np.concatenate([_logits(models[i]) for i in order])
  assert opened.ensemble_size == len(want) == 5
  assert [part.paths for part in opened.parts] == [(paths[i],) for i in order]
  assert opened.config == opened.parts[0].config
  np.testing.assert_array_equal(_logits(opened.ensemble()), want)


def test_it_is_loaded_once_for_each_strategy(pair, replicas):
  opened = _open(*pair[0])
  assert opened.ensemble() is opened.ensemble()
  with replicas.scope():
    mirrored = opened.ensemble()
    assert mirrored is opened.ensemble() is not _open(*pair[0]).ensemble()
  assert mirrored is not opened.ensemble()
  assert isinstance(mirrored.variables[0], tf.distribute.DistributedValues)


def test_the_newest_checkpoint_counts(tmp_path):
  old = _run(tmp_path, step=_STEPS - 1)
  new = _run(tmp_path, step=_STEPS, seed=1)
  loaded = _open(tmp_path).ensemble()
  np.testing.assert_array_equal(_logits(loaded), _logits(new))
  assert np.abs(_logits(old) - _logits(new)).max() > 1e-3


def test_a_saved_model_is_a_member_too(pair, tmp_path):
  paths, models = pair
  served = exporting.export_saved_model(
    models[1], (16, 16, 3), str(tmp_path / 'served'), class_names='abcdefghij'
  )
  alone = _open(served)
  assert isinstance(alone, trained.SavedModel) and alone.config is None
  assert alone.class_names == tuple('abcdefghij')
  opened = _open(served, paths[0])
  assert opened.ensemble_size == 3 and opened.num_classes == 10
  assert opened.image_shape == (16, 16, 3)
  # A run knows what it was trained on.
  assert opened.config.task.train_data.name == 'digits'
  assert opened.class_names == tuple('0123456789')
  # The logits differ by a constant for each example; the probabilities do not.
  want = np.concatenate([_logits(models[1]), _logits(models[0])])
  probs = tf.nn.softmax(_logits(opened.ensemble()))
  np.testing.assert_allclose(probs, tf.nn.softmax(want), atol=5e-6)
  traced = tf.function(opened.ensemble())(_images())
  np.testing.assert_allclose(tf.nn.softmax(traced), probs, atol=5e-6)
  # A mean over other classes would be of nothing.
  other = exporting.export_saved_model(
    models[1], (16, 16, 3), str(tmp_path / 'other'), class_names='bacdefghij'
  )
  with refusals.refused('teacher', f'{served}, {other}', 'same classes'):
    _open(served, other).ensemble()


def test_probabilities_that_are_served_become_log_probabilities(pair, tmp_path):
  _, (model, _) = pair
  served = exporting.export_saved_model(
    model, (16, 16, 3), str(tmp_path / 'served')
  )
  logits = _logits(_open(served).ensemble())
  np.testing.assert_allclose(
    logits, tf.nn.log_softmax(_logits(model)), rtol=1e-4, atol=1e-4
  )


def test_stored_predictions_are_no_network(tmp_path):
  labels = np.arange(6) % 3
  logits = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
  for index in range(2):
    np.savez(
      tmp_path / f'{index}.npz', train_logits=logits[index], train_labels=labels
    )
  opened = _open(tmp_path / '0.npz', tmp_path / '1.npz')
  assert isinstance(opened, trained.StoredPredictions)
  assert opened.config is None and len(opened.parts) == 2
  np.testing.assert_array_equal(opened.predictions('train', labels, 3), logits)
  assert opened.predictions('test', labels, 3) is None
  for load in opened.ensemble, opened.networks:
    with refusals.refused('teacher', str(tmp_path / '0.npz')):
      load()


def test_models_and_predictions_do_not_mix(tmp_path):
  with refusals.refused('teacher', 'b'):
    _open('a.npz', 'b')
  # A folder of this name is opened as a run folder.
  (tmp_path / 'run.npz').mkdir()
  with refusals.refused('teacher', str(tmp_path / 'run.npz'), 'params.yaml'):
    _open(tmp_path / 'run.npz')


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
  tf.train.Checkpoint().save(os.path.join(path, 'ckpt'))  # At step 1.


def _of_another_model(path):
  runs.claim_run(path, _config(ensemble_size=2))
  single = _config(ensemble_size=1).task.model
  _save(path, single.build(), _STEPS)


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
  'make, name, expected',
  [
    (_missing, 'teacher', 'params.yaml'),
    (_empty, 'teacher', 'params.yaml'),
    (_not_a_run, 'teacher', 'params.yaml'),
    (_half_trained, 'teacher', 'complete'),
    (_not_begun, 'teacher', 'complete'),
    (_of_another_model, 'run folder', 'params.yaml'),
    (_damaged_saved_model, 'teacher', 'loaded'),
    (_half_a_saved_model, 'teacher', 'loaded'),
    (_other_saved_model, 'teacher', 'images'),
    (_saved_model_without_signatures, 'teacher', 'serving_default'),
  ],
)
def test_refuses_what_is_no_trained_model(tmp_path, make, name, expected):
  path = str(tmp_path / 'there')
  make(path)
  with refusals.refused(name, path, expected) as caught:
    _open(path).ensemble()
  assert (make is _half_trained) == ('step 1 of 5' in str(caught.value))


def test_refuses_what_is_described_in_other_words(tmp_path):
  path = str(tmp_path / 'there')
  _undescribed(path)
  with refusals.refused(f'task.model.wideness in {path}/params.yaml'):
    _open(path)


def test_refuses_no_folders():
  with refusals.refused('teacher', []):
    _open()


@pytest.mark.parametrize(
  'other, expected, found',
  [
    ({'num_classes': 7}, '10', '7'),
    ({'image_shape': (8, 8, 3)}, '[16, 16, 3]', '[8, 8, 3]'),
  ],
)
def test_refuses_models_that_do_not_fit(tmp_path, pair, other, expected, found):
  path, served = str(tmp_path / 'other'), str(tmp_path / 'served')
  model = _run(path, ensemble_size=1, **other)
  exporting.export_saved_model(model, model.input_shape[1:], served)
  for folder in path, served:
    with refusals.refused('teacher', folder, expected) as caught:
      _open(pair[0][0], folder).check_fits((16, 16, 3), 10)
    assert found in str(caught.value)
  # The first model says what the others must be like.
  with refusals.refused('teacher', served, expected):
    _open(pair[0][0], served).ensemble()


def test_marks_of_older_versions_are_of_the_same_weights(pair, tmp_path):
  """Older reports noted a file's time; older searches, an index's SHA-256."""
  paths, (model, _) = pair
  served = exporting.export_saved_model(
    model, (16, 16, 3), str(tmp_path / 'served')
  )
  stored = tmp_path / 'a.npz'
  np.savez(stored, train_logits=np.zeros([2, 3]))
  index = os.path.join(paths[0], f'ckpt-{_STEPS}.index')
  for path, file in (
    (paths[0], index),
    (served, os.path.join(served, 'saved_model.pb')),
    (str(stored), str(stored)),
  ):
    opened, time = _open(path), files.modified(file)
    place = f'{os.path.basename(path)}/{os.path.basename(file)}'
    for mark in f'{place}@{time}', opened.fingerprint:
      assert opened.has_fingerprint(mark)
      assert not _open(paths[1]).has_fingerprint(mark)
    assert not opened.has_fingerprint(f'{place}@{time + 1}')
  with open(index, 'rb') as file:
    digest = hashlib.sha256(file.read()).hexdigest()
  assert _open(paths[0]).has_fingerprint(digest)
  assert not _open(paths[1]).has_fingerprint(digest)


@pytest.mark.parametrize(
  'name',
  ['m.keras', 'm.h5', 'm.pt', 'm.onnx', 'm.safetensors', 'm', 'gone.pth'],
)
def test_files_of_other_libraries_are_refused_with_what_to_do(tmp_path, name):
  path = str(tmp_path / name)
  if not name.startswith('gone'):
    files.write_text(path, 'weights')
  with refusals.refused('teacher', path, 'SavedModel') as caught:
    trained.open_trained([path], 'teacher')
  assert 'model.export' in caught.value.hint
