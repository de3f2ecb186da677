"""Tests of students whose teacher is found by a search first."""

import json
import os

from uncertainty_distill import configs, runs
from uncertainty_distill.runtime import progress

import experiments
import pytest
import refusals
import running
import tensorflow as tf

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')
# The runs are eager: two steps take less time than their compilation.
_TEXT = running.EAGER + (
  'trainer.train_steps=2,trainer.steps_per_loop=1,'
  'task.train_data.num_examples=128,teacher.global_batch_size=32,'
  'teacher.search.num_runs=2,teacher.ensemble_size=2,'
  'task.model.ensemble_size=2,task.objective.kind=head,'
)


def _distill(path, text=''):
  config = configs.load_config(
    'digits_wrn10_1', params_override=f'{_TEXT}{text}'
  )
  return experiments.distill(config, path, _CPU, evaluate=False)


def _stop_at(monkeypatch, description):
  """Interrupts the next training with this label after its first step."""

  class Bar(progress.Bar):
    def update(self, n=1):
      super().update(n)
      if self.desc.startswith(description) and self.n == 1:
        raise KeyboardInterrupt

  monkeypatch.setattr(progress, 'Bar', Bar)


def _params(path):
  with open(os.path.join(path, runs.PARAMS_FILE), encoding='utf-8') as file:
    return file.read()


def test_one_command_goes_on_from_wherever_it_stopped(tmp_path, monkeypatch):
  path = str(tmp_path / 'student')
  with monkeypatch.context() as patched:
    _stop_at(patched, 'search run 2')
    with pytest.raises(KeyboardInterrupt):
      _distill(path)
  claimed = runs.open_run(path, '--run')
  assert claimed.config.task.objective.teacher == ()
  # The folder is already claimed for the student.
  with refusals.refused('model_dir', path):
    _distill(path, 'task.objective.kind=knowledge')
  with monkeypatch.context() as patched:
    _stop_at(patched, 'student')
    with pytest.raises(KeyboardInterrupt):
      _distill(path)
  with open(f'{path}/teacher/search.json', encoding='utf-8') as file:
    record = json.load(file)
  members = tuple(
    os.path.join(path, 'teacher', member['folder'])
    for member in record['members']
  )
  assert runs.open_run(path, '--run').config.task.objective.teacher == members
  before = _params(path)
  # A longer search may find another teacher than the student's.
  for num_runs in 3, 0:
    with refusals.refused('model_dir', path, 'task.objective.teacher'):
      _distill(path, f'teacher.search.num_runs={num_runs}')
  assert _params(path) == before
  assert sorted(os.listdir(f'{path}/teacher')) == [
    'run_000',
    'run_000.npz',
    'run_001',
    'run_001.npz',
    'search.json',
  ]
  # The record of the search is made again from its runs if it is missing or was
  # changed: it must not name a folder elsewhere.
  os.remove(f'{path}/teacher/search.json')
  assert _distill(path).is_complete
  changed = json.dumps(record).replace('"run_001"', '"../../elsewhere"')
  with open(f'{path}/teacher/search.json', 'w', encoding='utf-8') as file:
    file.write(changed)
  run = _distill(path)
  assert run.is_complete and _params(path) == before
  with open(f'{path}/teacher/search.json', encoding='utf-8') as file:
    assert json.load(file) == record


@pytest.mark.parametrize(
  'text, name, value',
  [
    ('teacher.search.num_runs=1', 'teacher.search.num_runs', 1),
    (
      'teacher.search.held_out_fraction=0.99',
      'task.train_data.global_batch_size',
      32,
    ),
    (
      'teacher.search.held_out_fraction=0.001',
      'task.train_data.held_out_fraction',
      0.001,
    ),
    (
      'teacher.ensemble_size=3,teacher.search.num_runs=3',
      'task.objective.kind',
      'head',
    ),
    ('task.block_l2=[1e-4]', 'task.block_l2', (1e-4,)),
  ],
)
def test_mistakes_leave_no_folder_behind(text, name, value, tmp_path):
  path = tmp_path / 'student'
  with refusals.refused(name, value):
    _distill(str(path), text)
  assert not path.exists()
