"""Tests of students that learn from stored predictions."""

import copy
import os
import shutil

from uncertainty_distill import data, training
from uncertainty_distill.training import stored_logits, teacher

import experiments
import numpy as np
import pytest
import refusals

# The same as for the teacher cache, which stores float16, too.
_TOLERANCE = 2e-3


def _config(student, path, **objective):
  """Returns the student's experiment with a teacher, without augmentation."""
  config = copy.deepcopy(student)
  config.task.train_data.crop_padding = 0
  config.task.objective.override({'teacher': (path,), **objective})
  return training.resolve(config)


def _read_predictions(config):
  return teacher.open_predictions(experiments.opened(config))


@pytest.fixture(name='predictions', scope='module')
def _predictions(student, tmp_path_factory):
  """A file of the predictions of the student's teacher for all 797 digits."""
  dataset = data.open_dataset('digits').train
  network = experiments.opened(student).teacher.ensemble()
  path = str(tmp_path_factory.mktemp('stored') / 'predictions.npz')
  np.savez(
    path,
    train_logits=network(dataset.images),
    train_labels=dataset.labels,
  )
  return path


def test_losses_are_those_of_the_teacher_in_every_step(
  student, predictions, one_device, read_scalars, tmp_path
):
  (folder,) = student.task.objective.teacher
  stored, online = (
    experiments.curves(
      _config(student, path), tmp_path / name, one_device, read_scalars
    )
    for name, path in (('stored', predictions), ('online', folder))
  )
  for tag in 'training_loss', 'cross_entropy', 'distillation':
    for step in range(1, 8):
      assert stored[tag][step] == pytest.approx(
        online[tag][step], rel=_TOLERANCE
      ), (tag, step)
  # Losses that hardly change would prove nothing.
  assert abs(online['distillation'][7] / online['distillation'][1] - 1) > 0.1


def test_it_says_what_augmentation_means(
  student, predictions, one_device, caplog
):
  config = _config(student, predictions)
  experiment = experiments.opened(config, one_device)
  stored = stored_logits.open_stored_logits(experiment)
  assert 'crop_padding' not in caplog.text
  experiment.config.task.train_data.crop_padding = 1
  experiment.config.task.train_data.color_jitter = 0.5
  augmented = stored_logits.open_stored_logits(experiment)
  assert 'task.train_data.crop_padding=0' in caplog.text
  assert 'task.train_data.color_jitter=0.0' in caplog.text
  assert 'horizontal_flip' not in caplog.text
  np.testing.assert_array_equal(
    stored.read(0, range(9)), augmented.read(5, range(9))
  )


@pytest.mark.parametrize(
  'objective, name, value',
  [
    ({'kind': 'head'}, 'kind', 'head'),
    ({'weight_tie': 0.1}, 'teacher', '{predictions}'),
    ({'teacher_cache': 'cache'}, 'teacher_cache', 'cache'),
  ],
)
def test_what_they_cannot_do_leaves_no_folder(
  objective, name, value, student, predictions, one_device, tmp_path
):
  config = _config(student, predictions, **objective)
  value = value.format(predictions=predictions)
  with refusals.refused(f'task.objective.{name}', value):
    experiments.train_run(config, str(tmp_path / 'run'), one_device)
  assert not (tmp_path / 'run').exists()
  # So that a study does not find out after it has trained other systems.
  with refusals.refused(f'task.objective.{name}', value):
    teacher.check_teacher(experiments.opened(config))


def test_a_complete_student_needs_them_no_more(
  student, predictions, one_device, tmp_path
):
  path = str(tmp_path / 'predictions.npz')
  shutil.copyfile(predictions, path)
  config = _config(experiments.eager(student), path)
  config.trainer.train_steps = 1
  config = training.resolve(config)
  for _ in range(2):
    opened = training.open_experiment(config, one_device)
    run = training.distill(opened, str(tmp_path / 'run'), evaluate=False)
    assert run.is_complete
    if os.path.exists(path):
      os.remove(path)


def test_the_examples_of_the_dataset_count(student, predictions):
  config = _config(student, predictions)
  config.task.train_data.classes = (1, 0)
  name = f'train_logits of {predictions}'
  with refusals.refused(name, 'float32 [1, 797, 10]'):
    _read_predictions(config)
  config.task.train_data.classes = ()
  opened = _read_predictions(config)
  # The first 128 examples are trained on.
  assert opened.read(0, range(128)).shape == (128, 1, 10)


def test_each_example_has_its_own_prediction(student, tmp_path):
  train = data.open_dataset('digits').train
  # The teacher is sure of each label, so its predictions tell rows apart.
  path = str(tmp_path / 'sure.npz')
  np.savez(path, train_probs=np.eye(10)[train.labels])
  config = _config(student, path)
  config.task.train_data.held_out_fraction = 0.25
  opened = _read_predictions(config).read(0, range(96))
  used, held_out = data.open_training(
    data.open_configured(config.task.train_data), config.task.train_data
  )
  assert (len(used.labels), len(held_out.labels)) == (96, 32)
  np.testing.assert_array_equal(np.argmax(opened[:, 0], -1), used.labels)
  task = experiments.task(config, stored_logits=_read_predictions(config))
  for batch in task.build_inputs(config.task.train_data).take(5):
    np.testing.assert_array_equal(
      np.argmax(batch['teacher_logits'][:, 0], -1), batch['labels']
    )
