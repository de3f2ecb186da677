"""Tests of the paper's figures, drawn from runs and results."""

import os

from uncertainty_distill import (
  configs,
  evaluation,
  metrics,
  runs,
  studies,
  training,
)
from uncertainty_distill.data import corruptions

import numpy as np
import tensorflow as tf


def _result(model, seed, value, severity=0):
  values = dict.fromkeys(metrics.METRICS, value)
  noise = corruptions.Corruption.SHOT_NOISE if severity else None
  shift = corruptions.Shift(noise, severity)
  return evaluation.Result(model, seed, shift, 1, values, [1], [1], [1])


def test_ensemble_sizes():
  results = [
    _result('deep_ensemble', None, 0.7),
    _result('knowledge_student', 0, 0.2),
    _result('knowledge_student', 1, 0.4),
    _result('knowledge_student', 0, 0.6, 5),
    _result('knowledge_student_of_8', 0, 0.5),
  ]
  sizes = {
    3: 'knowledge_student_of_3',
    4: 'knowledge_student',
    8: 'knowledge_student_of_8',
  }
  fig = studies.draw_ensemble_sizes(results, sizes, 4, 'deep_ensemble')
  titles = [ax.get_title() for ax in fig.axes]
  assert titles == [
    'Accuracy ↑',
    'ECE ↓',
    'NLL ↓',
    'c-Accuracy ↑',
    'c-ECE ↓',
    'c-NLL ↓',
  ]
  nll, c_nll = fig.axes[2], fig.axes[5]
  (bars,) = nll.containers
  np.testing.assert_allclose(bars[0].get_xydata(), [[4, 0.3], [8, 0.5]])
  assert nll.lines[-1].get_xydata().tolist() == [[4, 0.7]]
  assert c_nll.containers[0][0].get_xydata().tolist() == [[4, 0.6]]
  clean = [result for result in results if not result.shift.severity]
  fig = studies.draw_ensemble_sizes(clean, sizes, 4, 'deep_ensemble')
  assert [ax.get_title() for ax in fig.axes] == titles[:3]
  assert studies.draw_ensemble_sizes(clean, {3: 'gone'}, 4, 'gone') is None


def _run(path, scalars):
  """Writes a run folder whose epochs have 4 steps."""
  config = training.resolve(
    configs.load_config(
      'digits_wrn10_1',
      params_override='trainer.train_steps=8,'
      'task.train_data.num_examples=130,task.train_data.global_batch_size=32',
    )
  )
  run = runs.claim_run(str(path), config)
  for (folder, tag), values in scalars.items():
    directory = os.path.join(run.path, folder)
    with tf.summary.create_file_writer(directory).as_default():
      for step, value in values.items():
        tf.summary.scalar(tag, value, step)
  return run


def test_learning_curves(tmp_path):
  train = 'train', 'training_loss'
  first = _run(tmp_path / 'a', {train: {2: 4.0, 8: 2.0}})
  second = _run(tmp_path / 'b', {train: {2: 8.0, 8: 4.0}})
  third = _run(tmp_path / 'c', {train: {8: 1.0}, ('clean', 'nll'): {8: 3.0}})
  fig = studies.draw_learning_curves({'be': [first, second], 'init': [third]})
  loss, nll = fig.axes
  assert (loss.get_title(), nll.get_title()) == ('Training loss', 'NLL, test')
  mean, init = loss.lines
  assert mean.get_xydata().tolist() == [[0.5, 6.0], [2.0, 3.0]]
  assert init.get_xydata().tolist() == [[2.0, 1.0]]
  assert nll.lines[0].get_xydata().tolist() == [[2.0, 3.0]]
  empty = _run(tmp_path / 'd', {})
  assert studies.draw_learning_curves({'be': [empty]}) is None
