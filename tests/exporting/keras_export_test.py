"""Tests of exporting a BatchEnsemble that was trained with Keras."""

import uncertainty_distill as ud

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused


def _model(shape=(8, 6, 3), activation=None, classes=3):
  tf_keras.utils.set_random_seed(0)
  layer = tf_keras.layers
  plain = tf_keras.Sequential(
    [
      tf_keras.Input(shape),
      layer.Rescaling(1 / 255),
      layer.SeparableConv2D(4, 3, activation='relu'),
      layer.BatchNormalization(),
      layer.Flatten(),
      layer.Dense(classes, activation=activation),
    ]
  )
  return plain, ud.batch_ensemble(plain, 2, norm='member')


def test_what_is_served_is_the_model(tmp_path):
  _, model = _model()
  folder = tmp_path / 'served'
  ud.export(model, folder, class_names=['a', 'b', 'c'])
  images = np.random.default_rng(0).integers(0, 256, (9, 8, 6, 3), np.uint8)
  want = tf.nn.softmax(model.predict(images, verbose=0))
  found = ud.load(folder).predict(images)
  assert found.member_probabilities.shape == (9, 2, 3)
  np.testing.assert_allclose(
    np.swapaxes(found.member_probabilities, 0, 1), want, atol=1e-5
  )
  best = np.argmax(np.mean(want, 0), -1)
  assert list(found.class_name) == [('a', 'b', 'c')[k] for k in best]


def test_refuses_what_cannot_be_served(tmp_path, monkeypatch):
  plain, model = _model()
  folder = tmp_path / 'served'
  with refused('path', 'Sequential'):
    ud.export(plain, folder)
  for activation in 'softmax', 'sigmoid':
    with refused('path', 'probabilities'):
      ud.export(_model(activation=activation)[1], folder)
  with refused('path', [2, 8, 1], 'two classes'):
    ud.export(_model(classes=1)[1], folder)
  with refused('path', [8, 6, 1]):
    ud.export(_model((8, 6, 1))[1], folder)
  for names in ['a', 'b'], ['a', 'b', 'a']:
    with refused('class_names', names, '3 distinct'):
      ud.export(model, folder, class_names=names)
  for name in 'fit_temperature', 'calibration_file':
    with refused(name, 'x'):
      ud.export(model, folder, **{name: 'x'})
  with refused('class_names', ['a']):
    ud.export('a run', folder, class_names=['a'])
  assert not folder.exists()
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'file').touch()
  # `new` would be made only while the folder above it is replaced.
  for name in 'other', 'other/new/..':
    with refused('directory'):
      ud.export(model, f'{tmp_path}/{name}')
  with refused('directory', ''):
    ud.export(model, '')
  # The files beside a SavedModel may be the user's own.
  ud.export(model, folder)
  (folder / 'README.md').write_text('mine')
  with refused('directory', str(folder)) as caught:
    ud.export(model, folder)
  assert 'README.md' in caught.value.hint
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'empty').mkdir()
  monkeypatch.chdir(tmp_path / 'empty')
  with refused('directory'):
    ud.export(model, '.')


def test_a_folder_of_an_older_export_is_replaced(tmp_path):
  _, model = _model()
  ud.export(model, tmp_path / 'served')
  model.set_weights([2 * weight for weight in model.get_weights()])
  ud.export(model, tmp_path / 'served')
  images = np.full((1, 8, 6, 3), 100, np.uint8)
  want = tf.nn.softmax(model(images))[:, 0]
  found = ud.load(tmp_path / 'served').predict(images)
  assert found.member_probabilities[0] == pytest.approx(want.numpy(), abs=1e-5)
