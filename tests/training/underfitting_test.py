"""Tests of the sentence about members that have learned too little."""

import math

from uncertainty_distill import evaluation, runs, training
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import results
from uncertainty_distill.reports import advice, assessment

import pytest
import tensorflow as tf
import tiny_runs


@pytest.mark.parametrize(
  'own, others, is_told',
  [
    (0.61, [0.3, 0.5], True),
    (0.6, [0.3, 0.5], False),
    (0.61, [], False),
    (None, [0.3], False),
    # The unknown value may be the largest.
    (0.61, [0.3, None], False),
  ],
)
def test_from_one_and_a_half_times_on(own, others, is_told):
  line = training.describe_underfitting('A student', own, others)
  assert bool(line) == is_told
  if is_told:
    assert '0.610' in line and '0.400' in line


def test_a_report_compares_with_its_single_networks(tmp_path):
  single = tiny_runs.config('task.model.ensemble_size=1')
  members, students = [], []
  for index, value in enumerate((0.3, 0.5)):
    path = tiny_runs.save(str(tmp_path / f'member_{index}'), single)
    runs.open_run(path, 'path').note_training(value)
    members.append(path)
  taught = tiny_runs.config(
    'task.objective.kind=knowledge,'
    f'task.objective.teacher=[{",".join(members)}]'
  )
  for index, value in enumerate((0.7, 0.9)):
    path = tiny_runs.save(str(tmp_path / f'student_{index}'), taught)
    assert runs.open_run(path, 'path').training_cross_entropy is None
    runs.open_run(path, 'path').note_training(value)
    students.append(evaluation.System('student', index, (path,)))
  teacher = evaluation.System('deep_ensemble', None, tuple(members))
  want = {'student': (pytest.approx(0.8), [0.3, 0.5])}
  assert assessment._cross_entropies([teacher, *students]) == want
  # The baseline of corruption errors may be a network of another kind.
  other = evaluation.System(evaluation.BASELINE, None, (members[0],))
  assert assessment._cross_entropies([other, teacher, *students]) == want
  # Smoothed labels: no network gets below their entropy, 0.5003 for 10 classes.
  smoothed = tiny_runs.config('task.objective.label_smoothing=0.1')
  path = tiny_runs.save(str(tmp_path / 'smoothed'), smoothed)
  runs.open_run(path, 'path').note_training(0.6)
  known = runs.open_run(path, 'path').training_cross_entropy
  entropy = -0.91 * math.log(0.91) - 9 * 0.01 * math.log(0.01)
  assert known == pytest.approx(0.6 - entropy)
  # A student alone is compared with the teacher that its folder names.
  assert assessment._cross_entropies(students) == want


def test_training_notes_its_last_cross_entropy_and_warns(tmp_path, caplog):
  single = tiny_runs.config('task.model.ensemble_size=1')
  teacher = tiny_runs.save(str(tmp_path / 'teacher'), single)
  runs.open_run(teacher, 'path').note_training(0.01)
  config = tiny_runs.config(
    'task.objective.kind=knowledge,trainer.train_steps=2,'
    'task.train_data.global_batch_size=16,'
    f'task.objective.teacher=[{teacher}]'
  )
  opened = training.open_experiment(
    config, tf.distribute.OneDeviceStrategy('cpu')
  )
  run = training.train(opened, str(tmp_path / 'student'), evaluate=False)
  value = run.training_cross_entropy
  # Without training, the cross-entropy is about log 10 = 2.3.
  assert 1 < value < 10
  assert any(f'{value:.3f}' in message for message in caplog.messages)


def test_the_sentence_stands_with_the_other_advice():
  names = 'accuracy', 'ece', 'nll', 'gibbs_nll', 'brier', 'member_accuracy'
  bins = (100,), (90.0,), (90.0,)
  record = results.Result(
    'student', 0, corruptions.CLEAN, 100, dict.fromkeys(names, 0.0), *bins
  )
  assert advice.advice([record], {'student': (0.3, [0.3])}) == []
  (line,) = advice.advice([record], {'student': (0.9, [0.3])})
  assert line.startswith('Student ') and '0.900' in line
