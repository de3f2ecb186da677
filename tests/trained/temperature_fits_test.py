"""Tests of the checks of calibration examples and of fitted temperatures."""

from uncertainty_distill import data, exporting, trained
from uncertainty_distill.exporting import calibration_examples

import nearest
import numpy as np
import pytest
import refusals
import tiny_dataset
import tiny_runs


def _fit(logits, labels):
  images = tiny_dataset.make(number=len(labels), labels=labels)
  return trained.fit_temperature(
    logits, images, 'drawn', 'calibration_file', 'a.npz'
  )


@pytest.mark.parametrize('number, labels', [(1, None), (9, None), (50, 3)])
def test_examples_that_cannot_tell_a_temperature(number, labels):
  labels = None if labels is None else np.full(number, labels)
  images = tiny_dataset.make(number=number, labels=labels)
  with refusals.refused('calibration_file', 'a.npz', 'at least two classes'):
    trained.check_examples(images, 'calibration_file', 'a.npz')


def test_few_examples_are_pointed_out(caplog):
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 5, 100)
  logits = 2 * np.eye(5)[labels] + rng.normal(size=(1, 100, 5))
  _fit(logits, labels)
  assert not caplog.messages
  _fit(logits[:, :99], labels[:99])
  (message,) = caplog.messages
  assert '99 images' in message


def test_a_temperature_at_its_bound(caplog):
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 5, 200)
  logits = 2 * np.eye(5)[labels] + rng.normal(size=(1, 200, 5))
  assert 0.06 < _fit(logits, labels).temperature < 19
  assert not caplog.messages
  right = 9 * np.eye(5)[labels][None]
  with refusals.refused('calibration_file', 'a.npz', 'not trained on'):
    _fit(right, labels)
  # Some are wrong, but no division makes such logits sure enough.
  with refusals.refused('calibration_file', 'a.npz', 'temperature'):
    _fit(logits / 1000, labels)
  few = right.copy()
  few[0, :2] = few[0, 2:4]
  with refusals.refused('calibration_file', 'a.npz', 'temperature'):
    _fit(few / 1000, labels)
  # The labels are random, so these logits know nothing about them.
  assert _fit(30 * logits, rng.permutation(labels)).temperature > 19
  (message,) = caplog.messages
  assert 'random' in message


def test_a_temperature_that_few_errors_decide_on(caplog):
  labels = np.arange(200) % 5
  logits = 9.0 * np.eye(5)[labels][None]
  logits[0, :3] = 9 * np.eye(5)[(labels[:3] + 1) % 5]
  _fit(logits, labels)
  (message,) = caplog.messages
  assert ' 3 of the 200 ' in message


def test_training_images_are_refused(tmp_path, caplog):
  run = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  dataset, file = data.open_dataset('digits'), str(tmp_path / 'c.npz')

  def export(known):
    """Exports with a calibration file that has `known` training images."""
    images = np.roll(dataset.test.images[:200], 1, 2)
    images[:known] = dataset.train.images[:known]
    labels = dataset.test.labels[:200].copy()
    labels[:known] = dataset.train.labels[:known]
    np.savez(file, images=images, labels=labels)
    options = exporting.ExportOptions(True, file)
    exporting.export([run], str(tmp_path / 'served'), options)

  with refusals.refused('calibration_file', file, 'trained on') as caught:
    export(known=11)
  assert '11 of 200' in caught.value.hint
  assert not (tmp_path / 'served').exists()
  export(known=3)
  caplog.clear()
  # Runs of one training set are warned of once.
  options = exporting.ExportOptions(True, file)
  exporting.export([run, run], str(tmp_path / 'served'), options)
  assert sum('3 of 200' in message for message in caplog.messages) == 1


def test_what_a_run_held_out_are_no_training_images(tmp_path):
  config = tiny_runs.config('task.train_data.held_out_fraction=0.2')
  run = tiny_runs.save(str(tmp_path / 'run'), config)
  _, held_out = data.open_dataset('digits').train.hold_out(159)
  file = str(tmp_path / 'c.npz')
  np.savez(file, images=held_out.images, labels=held_out.labels)
  options = exporting.ExportOptions(True, file)
  fitted = exporting.export([run], str(tmp_path / 'served'), options)
  assert fitted.num_examples == 159


def test_a_saved_model_is_held_against_the_labels(tmp_path):
  wrong = nearest.save(tmp_path / 'wrong', nearest.permuted)
  test = data.open_dataset('digits').test
  file = str(tmp_path / 'c.npz')
  np.savez(file, images=test.images, labels=test.labels)
  served = str(tmp_path / 'served')
  with refusals.refused('path', wrong, 'order'):
    exporting.export([wrong], served, exporting.ExportOptions(True, file))
  options = exporting.ExportOptions(True, file, check_labels=False)
  fitted = exporting.export([wrong], served, options)
  assert fitted.temperature > 1
  # Next to a run, the run's dataset shows the wrong order, too.
  run = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  with refusals.refused('path', wrong, 'order'):
    exporting.export([run, wrong], served)


def test_the_examples_have_the_statistics_of_their_file(tmp_path):
  images = np.zeros((10, 16, 16, 3), np.uint8)
  images[5:, ..., 0] = 255
  file = str(tmp_path / 'c.npz')
  np.savez(file, images=images, labels=np.arange(10) % 2)
  run = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  model = trained.open_trained([run], 'path')
  examples, _ = calibration_examples.load(model, file, None)
  assert examples.spec.mean == pytest.approx((0.5, 0, 0))
  assert examples.spec.stddev == pytest.approx((0.5, 1 / 255, 1 / 255))
