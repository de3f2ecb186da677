"""Tests of the images and the paper's numbers in a report."""

import os
import pathlib
import re

from uncertainty_distill import data, evaluation, reports
from uncertainty_distill.reports import assessment

import experiments
import pytest
import tensorflow as tf
import tiny_runs

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')


def _shown(directory):
  """Returns whose least sure images are shown, and their pictures' texts."""
  text = pathlib.Path(directory, 'report.md').read_text()
  section = text.split('\n## The images that ')[1].split('\n## ')[0]
  return (
    section.split(' is least sure of')[0],
    re.findall(r'!\[(.*)\]\(images/least_sure', section),
  )


@pytest.mark.usefixtures('undrawn')
def test_images_are_those_of_the_student(paths, tmp_path, evaluated):
  directory = str(tmp_path / 'report')
  systems = [
    evaluation.System('student', 3, (paths[2],)),
    evaluation.System('student', 4, (paths[2],)),
    evaluation.System('single', None, (paths[0],)),
  ]

  def assess(student='', text=''):
    evaluated.clear()
    experiments.assess(
      systems, tiny_runs.config(text), _CPU, directory, 'Title', student=student
    )
    return _shown(directory)

  name, texts = assess('student')
  assert name == 'Student (seed 3)' and len(texts) == 12
  labels = data.open_dataset('digits').test.labels
  # The fake evaluator gives the last of 70 images the highest entropy.
  assert texts[0].startswith(f'Test image 69, labeled {labels[69]}; ')
  assert texts[0].count(',') == 2 and 'members vote' in texts[0]
  assert texts[11].startswith('Test image 58, ')
  # Only the system that has no images yet is evaluated.
  name, alone = assess('unknown')
  assert name == 'Single' and 'vote' not in alone[0]
  assert evaluated == [['single']]
  assert assess('student') == ('Student (seed 3)', texts) and not evaluated
  os.truncate(os.path.join(directory, 'images', 'student_3.npz'), 500)
  assert assess('student')[1] == texts and evaluated == [['student']]
  first = assess('student', 'task.validation_data.num_examples=40')[1][0]
  assert first.startswith('Test image 39, ')


@pytest.mark.usefixtures('undrawn')
def test_a_paper_s_experiment_stands_beside_the_paper(
  paths, tmp_path, evaluated, monkeypatch
):
  config = tiny_runs.config()
  systems = [
    evaluation.System('head_student', 0, (paths[2],)),
    evaluation.System('single', None, (paths[0],)),
  ]
  monkeypatch.setattr(
    assessment,
    '_published',
    lambda config: reports.paper_rows('cifar10'),
  )
  for beside in True, False:
    experiments.assess(
      systems, config, _CPU, str(tmp_path / 'r'), 'A', beside_paper=beside
    )
    text = (tmp_path / 'r' / 'report.md').read_text()
    assert ('## Beside the paper' in text) == beside
    assert ('| 0.963 ± 0.001 |' in text) == beside
    assert 'agrees' not in text  # One seed decides nothing.
  monkeypatch.undo()
  published = assessment._published
  assert published(config) == {}
  config.task.train_data.name = 'cifar100'
  assert published(config)['deep_ensemble']['accuracy'][0] > 0.7
  config.task.train_data.classes = (0, 1)
  assert published(config) == {}
