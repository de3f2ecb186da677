"""Tests of what a fingerprint depends on: weights, networks, files, pixels."""

import json
import os
import shutil

from uncertainty_distill import configs, data, exporting, runs, trained

import numpy as np
import pytest
import tensorflow as tf
import tf_keras


def _run(path, step=3, change=lambda model: None, **model):
  """Makes a run folder with fixed weights; returns its path and its model."""
  config = configs.load_config(
    'digits_wrn10_1', params_override='trainer.train_steps=3'
  )
  config = configs.resolve(config, data.open_dataset('digits'))
  config.task.model.override({'ensemble_size': 1, **model})
  runs.claim_run(str(path), config)
  tf_keras.utils.set_random_seed(0)
  network = config.task.model.build()
  change(network)
  checkpoint = tf.train.Checkpoint(
    model=network, optimizer=tf_keras.optimizers.SGD(np.random.rand())
  )
  tf.train.CheckpointManager(checkpoint, str(path), 1).save(step)
  return str(path), network


def _open(*paths):
  return trained.open_trained(paths, 'teacher')


def _described(*paths):
  return json.dumps(_open(*paths).description)


@pytest.fixture(name='run', scope='module')
def _fixture_run(tmp_path_factory):
  return _run(tmp_path_factory.mktemp('runs') / 'run')


def test_the_same_network_elsewhere_is_the_same_teacher(run, tmp_path):
  path, _ = run
  # Neither the optimizer's state nor the step is part of the network.
  again, _ = _run(tmp_path / 'again', step=4)
  assert _described(path) == _described(again)
  assert len(json.loads(_described(path))) == 1
  assert _open(path).fingerprint == _open(again).fingerprint


def test_every_weight_counts(run, tmp_path):
  path, model = run
  descriptions = {_described(path)}
  places = 0, len(model.variables) // 2, len(model.variables) - 1
  for place in places:

    def change(network, place=place):
      variable = network.variables[place]
      flat = variable.numpy().ravel()
      flat[-1] = np.nextafter(flat[-1], np.float32(9))
      variable.assign(flat.reshape(variable.shape))

    changed, _ = _run(tmp_path / str(place), change=change)
    descriptions.add(_described(changed))
    assert _open(changed).fingerprint != _open(path).fingerprint
  assert len(descriptions) == 1 + len(places)


def test_network_order_and_number_count(run, tmp_path):
  path, _ = run
  # The other network has the same weights, but standardizes in another way.
  other, _ = _run(tmp_path / 'other', mean=(0.4,) * 3)
  assert (
    len(
      {
        _described(path),
        _described(other),
        _described(path, other),
        _described(other, path),
        _described(path, path),
      }
    )
    == 5
  )
  assert _open(path).fingerprint == _open(other).fingerprint
  assert _open(path, path).fingerprint != _open(path).fingerprint


def test_stored_predictions_are_their_arrays(tmp_path):
  paths = [str(tmp_path / name) for name in ('a.npz', 'b.npz', 'c.npz')]
  logits = np.zeros([4, 3])
  np.savez(paths[0], train_logits=logits)
  np.savez_compressed(paths[1], train_logits=logits)
  np.savez(paths[2], train_logits=logits + 1e-9)
  one, same, other = (_open(path).fingerprint for path in paths)
  assert one == same != other
  assert _open(*paths[:2]).fingerprint not in (one, other)


def test_files_are_read_once_as_long_as_they_stay(run, tmp_path, monkeypatch):
  path = str(tmp_path / 'copied')
  shutil.copytree(run[0], path)
  before = _open(path).fingerprint
  with monkeypatch.context() as patched:
    patched.setattr(tf.compat.v1.train, 'NewCheckpointReader', None)
    assert _open(path).fingerprint == before
  (index,) = (tmp_path / 'copied').glob('*.index')
  os.utime(index, ns=(0, 0))
  monkeypatch.setattr(tf.compat.v1.train, 'NewCheckpointReader', None)
  with pytest.raises(TypeError):
    _ = _open(path).fingerprint


def test_a_saved_model_is_its_files(run, tmp_path):
  served = exporting.export_saved_model(
    run[1], (16, 16, 3), str(tmp_path / 'served')
  )
  copied = shutil.copytree(served, tmp_path / 'copied')
  before = _described(served)
  # An evaluation may write other files into the folder.
  (copied / 'report.html').write_text('A report.')
  assert _described(str(copied)) == before
  (shard,) = (copied / 'variables').glob('*.data*')
  with open(shard, 'rb+') as file:
    file.seek(-1, os.SEEK_END)
    file.write(b'\x99')
  assert _described(str(copied)) != before


def test_every_pixel_and_label_counts():
  images = np.zeros([4, 2, 2, 3], np.uint8)
  labels = np.zeros(4, np.int32)
  one_pixel, one_label = images.copy(), labels.copy()
  one_pixel[3, 1, 1, 2] = one_label[3] = 1
  digests = {
    trained.arrays_digest(*arrays)
    for arrays in (
      (images, labels),
      (one_pixel, labels),
      (images, one_label),
      (images[:3], labels[:3]),
      (images.reshape(2, 4, 2, 3), labels),
    )
  }
  assert len(digests) == 5
  assert trained.arrays_digest(images[::2], labels) == trained.arrays_digest(
    images[::2].copy(), labels
  )
