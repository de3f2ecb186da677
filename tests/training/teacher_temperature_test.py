"""Tests of the temperature that calibrates a teacher: source and effect."""

import copy
import shutil

from uncertainty_distill import data, losses, metrics, runs, training
from uncertainty_distill.training import teacher_temperature

import experiments
import numpy as np
import pytest
import refusals
import scipy.special
import tensorflow as tf
import yaml

_LOGITS = np.array([[[2.0, 0.0, -1.0]], [[0.0, 1.0, 0.5]]])


@pytest.fixture(name='fit', scope='module')
def _fit(student):
  """The student's experiment, with 600 examples to fit the temperature to."""
  return experiments.changed(
    student,
    'task.objective.teacher_temperature=fit,'
    'task.train_data.num_examples=100,evaluation.temperature_examples=600',
  )


def _rows(config):
  return teacher_temperature._untaught(experiments.opened(config)).rows


def test_the_mean_prediction_is_calibrated_for_knowledge():
  found = losses.calibrated_teacher(tf.constant(_LOGITS), 0.5, pooled=True)
  mean = scipy.special.softmax(_LOGITS, -1).mean(0)
  expected = mean**2 / np.sum(mean**2)
  assert found.shape == (1, 1, 3)
  np.testing.assert_allclose(tf.nn.softmax(found)[0], expected, rtol=1e-6)


def test_every_member_is_for_head():
  found = losses.calibrated_teacher(tf.constant(_LOGITS), 0.5, pooled=False)
  np.testing.assert_allclose(found, 2 * _LOGITS, rtol=1e-6)


def test_only_what_nobody_was_trained_on_tells_it(student, fit):
  # The teacher has seen the first 128 of 797 digits.
  np.testing.assert_array_equal(_rows(fit), np.arange(197, 797))
  held_out = experiments.changed(
    student,
    'task.train_data.num_examples=200,task.train_data.held_out_fraction=0.5',
  )
  experiment = experiments.opened(held_out)
  expected = [row for row in experiment.held_out.rows if row >= 128]
  assert 0 < len(expected) < len(experiment.held_out)
  np.testing.assert_array_equal(_rows(held_out), expected)
  # If data are divided in another way, the rows of the teacher are unknown.
  other = experiments.changed(held_out, 'task.train_data.test_from_training=97')
  assert not len(_rows(other))


def test_a_copy_of_the_teacher_s_data_is_the_same_data(student, tmp_path):
  digits = data.open_dataset('digits')
  arrays = {
    f'{name}_{kind}': getattr(split, kind)
    for name, split in (('train', digits.train), ('test', digits.test))
    for kind in ('images', 'labels')
  }
  [part] = experiments.opened(student).teacher.parts
  path = tmp_path / 'teacher'
  shutil.copytree(part.run.path, path)
  params = yaml.safe_load((path / 'params.yaml').read_text())
  for name in 'mine', 'teachers':
    np.savez(tmp_path / f'{name}.npz', **arrays)
  mine, teachers = (
    str(tmp_path / f'{name}.npz') for name in ('mine', 'teachers')
  )
  params['task']['train_data']['name'] = teachers
  (path / 'params.yaml').write_text(yaml.safe_dump(params))
  config = copy.deepcopy(student)
  config.task.train_data.num_examples = 200
  config.task.train_data.held_out_fraction = 0.5
  config.task.train_data.name = mine
  config.task.objective.teacher = (str(path),)
  config = training.resolve(config)
  # The teacher's data are not yet known to be the same.
  assert _rows(config)[0] < 128
  mark = experiments.opened(config).dataset.train.fingerprint
  (path / 'data.yaml').write_text(f'training data: {mark}')
  assert _rows(config)[0] >= 128


def test_without_such_images_it_is_1(student, caplog):
  config = experiments.changed(
    student, 'task.objective.teacher_temperature=fit'
  )
  assert teacher_temperature.find_temperature(experiments.opened(config)) == 1
  assert len(caplog.records) == 1
  given = experiments.changed(student, 'task.objective.teacher_temperature=0.7')
  assert teacher_temperature.find_temperature(experiments.opened(given)) == 0.7


def test_it_is_fitted_to_the_pooled_prediction(fit):
  experiment = experiments.opened(fit)
  images = teacher_temperature._untaught(experiment)
  ensemble = experiment.teacher.ensemble()
  logits = ensemble(images.numpy(slice(None)), training=False)
  probs = scipy.special.softmax(logits, -1).mean(0, keepdims=True)
  expected = metrics.fit_temperature(np.log(probs), images.labels, 'a test')
  found = teacher_temperature.find_temperature(experiment)
  assert found != 1
  np.testing.assert_allclose(found, expected.temperature, rtol=2e-3)


@pytest.mark.parametrize('value', [0.0, -1.0, 'fitted'])
def test_other_values_are_refused(student, value):
  config = copy.deepcopy(student)
  config.task.objective.teacher_temperature = value
  with refusals.refused('task.objective.teacher_temperature', value):
    training.resolve(config)


def test_a_run_keeps_the_value_that_it_began_with(
  fit, one_device, read_scalars, tmp_path, monkeypatch
):
  config = experiments.eager(experiments.changed(fit, 'trainer.train_steps=2'))
  run = experiments.train_run(config, str(tmp_path), one_device, evaluate=False)
  noted = runs.noted_teacher_temperature(run)
  assert noted == teacher_temperature.find_temperature(
    experiments.opened(config)
  )
  plain = experiments.changed(config, 'task.objective.teacher_temperature=1')
  with refusals.refused('model_dir', str(tmp_path)):
    runs.match_run(run.path, plain)
  other = experiments.train_run(
    plain, str(tmp_path / 'plain'), one_device, evaluate=False
  )
  taught, untouched = (
    read_scalars(r, 'train')['distillation'][1] for r in (run, other)
  )
  assert abs(taught / untouched - 1) > 0.01
  # A continued run takes the noted temperature.
  monkeypatch.setattr(
    'uncertainty_distill.training.session.find_temperature', None
  )
  config.trainer.train_steps = run.config.trainer.train_steps = 3
  session = training.session.TrainingSession(
    experiments.opened(config, one_device), run, False, 'a test'
  )
  session.prepare_teacher()
  assert session.teacher_temperature == noted
