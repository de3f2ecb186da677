"""Tests of teachers whose predictions contradict the training labels."""

import os

from uncertainty_distill import data, training

import experiments
import nearest
import numpy as np
import pytest
import refusals


def _config(student, teacher, check_labels=True, **objective):
  """Returns the experiment of a student that trains for two steps."""
  config = experiments.eager(student)
  config.task.objective.override({'teacher': (teacher,), **objective})
  config.check_labels = check_labels
  config.trainer.train_steps = 2
  return training.resolve(config)


@pytest.fixture(name='permuted', scope='module')
def _permuted(tmp_path_factory):
  """A SavedModel whose classes are in another order."""
  return nearest.save(
    tmp_path_factory.mktemp('teacher') / 'permuted', nearest.permuted
  )


def test_online(student, permuted, one_device, tmp_path, caplog):
  path = str(tmp_path / 'run')
  with refusals.refused('task.objective.teacher', permuted, 'order') as caught:
    experiments.train_run(_config(student, permuted), path, one_device, False)
  assert ', '.join(map(str, nearest.ORDER)) in caught.value.hint
  assert not os.path.exists(path)
  config = _config(student, permuted, check_labels=False)
  assert experiments.train_run(config, path, one_device, False).is_complete
  assert any(permuted in m and 'order' in m for m in caplog.messages)
  # With the check it is the same run, and a complete run is not checked.
  config = _config(student, permuted)
  assert experiments.train_run(config, path, one_device, False).is_complete


def test_in_a_cache(student, permuted, one_device, tmp_path):
  path, cache = str(tmp_path / 'run'), str(tmp_path / 'cache')
  config = _config(student, permuted, teacher_cache=cache)
  with refusals.refused('task.objective.teacher', permuted, 'order'):
    experiments.train_run(config, path, one_device, False)
  accepted = _config(student, permuted, False, teacher_cache=cache)
  experiments.train_run(accepted, str(tmp_path / 'other'), one_device, False)
  # The cache now has views of this teacher, which is refused all the same.
  with refusals.refused('task.objective.teacher', permuted, 'order'):
    experiments.train_run(config, path, one_device, False)


def test_stored(student, one_device, tmp_path):
  labels = data.open_dataset('digits').train.labels
  path = str(tmp_path / 'p.npz')
  probs = np.eye(10)[labels][:, nearest.PLACES]
  np.savez(path, train_probs=probs, train_labels=labels)
  config = _config(student, path)
  with refusals.refused('task.objective.teacher', path, 'order'):
    experiments.train_run(config, str(tmp_path / 'run'), one_device, False)


def test_the_check_changes_no_number(student, one_device, tmp_path):
  runs = [
    experiments.train_run(
      _config(student, student.task.objective.teacher[0], check),
      str(tmp_path / str(check)),
      one_device,
      False,
    )
    for check in (True, False)
  ]
  # A teacher that is trained here, not given, is not checked.
  experiment = experiments.opened(
    _config(student, student.task.objective.teacher[0]), one_device
  )
  experiment.given.task.objective.teacher = ()
  assert training.teacher.label_check(experiment) is None
  one, two = (run.load_model().get_weights() for run in runs)
  for a, b in zip(one, two, strict=True):
    np.testing.assert_array_equal(a, b)
