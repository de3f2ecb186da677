"""Tests of prediction sets from calibration to the served model."""

import json

from uncertainty_distill import data, exporting, metrics, models, trained
from uncertainty_distill.exporting import tflite
from uncertainty_distill.io import files

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tf_keras
import tiny_runs
import tiny_served

_CARD = 'assets.extra/MODEL_CARD.md'


def _held_out(tmp_path, count=200):
  """Writes a file of test digits, which no run was trained on.

  The digits are shifted by a pixel, because calibration refuses test images.
  """
  digits = data.open_dataset('digits').test
  images, labels = np.roll(digits.images[:count], 1, 2), digits.labels[:count]
  file = str(tmp_path / f'{count}.npz')
  np.savez(file, images=images, labels=labels)
  return file, images, labels


def test_both_signatures_serve_the_sets(tmp_path):
  rule = metrics.PredictionSets(0.1, 'raps', 0.8, penalty=0.1, free_ranks=1)
  model, folder = tiny_served.make(tmp_path / 'served', 2.0, rule)
  images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
  logits = model(images, training=False) / 2.0
  want = rule.contains(metrics.mean_probs(logits)).numpy()
  loaded = tf.saved_model.load(folder)
  pngs = tf.constant([tf.io.encode_png(image).numpy() for image in images])
  for served in (
    loaded.signatures['serving_default'](images=tf.constant(images)),
    loaded.signatures['serve_encoded'](image_bytes=pngs),
  ):
    np.testing.assert_array_equal(served['prediction_set'], want)
    np.testing.assert_array_equal(served['set_size'], want.sum(-1))
    assert served['set_size'].dtype == tf.int32
  assert trained.open_trained([folder], 'path').prediction_sets == rule


def test_an_export_calibrates_on_what_no_model_was_trained_on(tmp_path):
  run = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  served = str(tmp_path / 'served')
  file, images, labels = _held_out(tmp_path)
  options = exporting.ExportOptions(
    True, file, conformal=0.1, conformal_method='aps'
  )
  fitted = exporting.export([run], served, options)
  model = trained.open_trained([run], 'path')
  logits = model.ensemble()(images).numpy() / fitted.temperature
  want = metrics.calibrate_sets(logits, labels, 0.1, 'aps')
  rule = trained.open_trained([served], 'path').prediction_sets
  assert rule.threshold == pytest.approx(want.threshold, rel=1e-4)
  assert (rule.alpha, rule.method, rule.num_examples) == (0.1, 'aps', 200)
  card = files.read_text(f'{served}/{_CARD}')
  assert '## Prediction sets' in card and 'APS' in card
  # The served probabilities already include the temperature that the sets were
  # calibrated with.
  again = str(tmp_path / 'again')
  exporting.export([served], again)
  assert trained.open_trained([again], 'path').prediction_sets == rule
  exporting.export([run], served)
  assert trained.open_trained([served], 'path').prediction_sets is None
  assert 'Prediction sets' not in files.read_text(f'{served}/{_CARD}')


def test_what_cannot_be_calibrated_is_refused(tmp_path):
  run = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  served = str(tmp_path / 'served')
  file, _, _ = _held_out(tmp_path, 8)
  for name, value, expected, options in (
    ('calibration_file', file, '9 ', {'calibration_file': file}),
    ('conformal', '0.1', '', {}),
    ('conformal', 1.0, '', {'conformal': 1.0}),
    ('conformal', -0.1, '', {'conformal': -0.1}),
    ('conformal_method', 'top', '', {'conformal_method': 'top'}),
  ):
    options = exporting.ExportOptions(**{'conformal': 0.1, **options})
    with refusals.refused(name, value, expected):
      exporting.export([run], served, options)
  # Enough examples for a temperature may be too few for prediction sets.
  config = tiny_runs.config('task.train_data.held_out_fraction=0.2')
  run = tiny_runs.save(str(tmp_path / 'held_out'), config)
  options = exporting.ExportOptions(fit_temperature=True, conformal=1e-3)
  with refusals.refused('conformal', '0.001'):
    exporting.export([run], served, options)


def test_tensorflow_lite_has_the_sets():
  inputs = tf_keras.Input((4, 4, 3))
  outputs = tf_keras.layers.Dense(5)(tf_keras.layers.Flatten()(inputs / 255))
  model = models.batch_ensemble(tf_keras.Model(inputs, outputs), 2)
  images = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8)
  rule = metrics.PredictionSets(0.1, 'raps', 0.7, penalty=0.01, free_ranks=2)
  content = tflite.convert_to_tflite(model, (4, 4, 3), sets=rule)
  got = tflite.tflite_runner(content)(images)
  want = rule.contains(metrics.mean_probs(model(images))).numpy()
  np.testing.assert_array_equal(got['prediction_set'], want)


def test_the_rule_is_kept_as_json(tmp_path):
  rule = metrics.PredictionSets(0.1, 'lac', 0.25, num_examples=99, source='x')
  _, folder = tiny_served.make(tmp_path / 'served', sets=rule)
  kept = json.loads(
    files.read_text(f'{folder}/assets.extra/prediction_sets.json')
  )
  assert kept == {
    'alpha': 0.1,
    'method': 'lac',
    'threshold': 0.25,
    'penalty': 0.0,
    'free_ranks': 0,
    'num_examples': 99,
    'source': 'x',
  }
