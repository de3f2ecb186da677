"""Tests of a whole run in a TensorFlow file system instead of on a disk."""

import io
import json

from uncertainty_distill import (
  configs,
  data,
  evaluation,
  exporting,
  runs,
  trained,
  training,
)
from uncertainty_distill.data import corrupted_sets
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import evaluator
from uncertainty_distill.io import files

import experiments
import numpy as np
import pytest
import running
import tensorflow as tf
from refusals import refused

_ROOT = 'ram://remote_test'
_TEXT = running.EAGER + (
  'trainer.train_steps=2,trainer.steps_per_loop=1,'
  'trainer.checkpoint_interval=1,trainer.max_to_keep=2,'
  'teacher.ensemble_size=1,task.model.ensemble_size=2,'
  'task.train_data.num_examples=64,task.validation_data.num_examples=40,'
  'evaluation.corruptions=[contrast],evaluation.severities=[5]'
)


@pytest.fixture(scope='module')
def strategy():
  return tf.distribute.OneDeviceStrategy('CPU:0')


@pytest.fixture(scope='module')
def config():
  """The experiment of a student; its dataset is in the same file system."""
  arrays = {}
  for split in 'train', 'test':
    whole = getattr(data.open_dataset('digits'), split)
    arrays[f'{split}_images'] = whole.images[:64]
    arrays[f'{split}_labels'] = whole.labels[:64]
  content = io.BytesIO()
  np.savez(content, **arrays)
  files.make_folder(_ROOT)
  files.write_bytes(f'{_ROOT}/mine.npz', content.getvalue())
  return configs.load_config(
    'digits_wrn10_1',
    params_override=f'{_TEXT},task.train_data.name={_ROOT}/mine.npz',
  )


@pytest.fixture(scope='module')
def run(config, strategy):
  return experiments.distill(config, f'{_ROOT}/student', strategy)


def _systems(run):
  return [evaluation.System('student', None, (run.path,))]


def test_a_run_is_complete_and_describes_itself(run, config, strategy):
  assert run.is_complete and run.step == 2
  assert {'params.yaml', 'train.log', 'train', 'clean', 'teacher'} <= set(
    files.names(run.path)
  )
  assert 'train | step:      2' in files.read_text(f'{run.path}/train.log')
  assert not [name for name in files.names(run.path) if 'tmp' in name]
  # The run names its teacher by a path relative to the run's folder.
  params = files.read_text(f'{run.path}/params.yaml')
  assert '- teacher/member_0\n' in params
  opened = runs.open_run(run.path, '--run')
  (teacher,) = opened.config.task.objective.teacher
  assert teacher == f'{_ROOT}/student/teacher/member_0'
  # A second call finds nothing to do.
  before = files.read_text(f'{run.path}/train.log')
  experiments.distill(config, run.path, strategy)
  assert files.read_text(f'{run.path}/train.log') == before
  with refused('model_dir', run.path) as caught:
    other = configs.load_config(
      'digits_wrn10_1',
      params_override=f'{_TEXT},task.seed=1,'
      f'task.train_data.name={_ROOT}/mine.npz',
    )
    experiments.distill(other, run.path, strategy)
  assert 'task.seed=0' in str(caught.value)


def test_the_report_is_there_and_kept(run, config, strategy, monkeypatch):
  resolved = training.resolve(config)
  table = experiments.assess(
    _systems(run), resolved, strategy, run.path, 'Remote'
  )
  report = files.read_text(f'{run.path}/report.md')
  assert report.startswith('# Remote') and table in report
  results = json.loads(files.read_text(f'{run.path}/results.json'))
  assert [r['num_examples'] for r in results['results']] == [40, 40]
  assert len(files.names(f'{run.path}/plots')) == 9
  assert files.names(f'{run.path}/corrupted')
  monkeypatch.setattr(evaluator, 'Evaluator', None)
  assert table == experiments.assess(
    _systems(run), resolved, strategy, run.path, 'Remote'
  )


def test_a_saved_model_is_replaced_and_serves(run):
  directory = f'{_ROOT}/served'
  for _ in range(2):
    exporting.export([run.path], directory)
  served = tf.saved_model.load(directory)
  images = data.open_dataset('digits').test.images[:3]
  answer = served.signatures['serving_default'](images=tf.constant(images))
  expected = tf.nn.softmax(run.load_model()(images))
  np.testing.assert_allclose(
    answer['member_probabilities'], np.swapaxes(expected, 0, 1), atol=1e-5
  )
  with refused('directory', run.path):
    exporting.export([run.path], run.path)


def test_what_is_mapped_into_memory_is_on_a_disk():
  dataset = data.open_dataset('digits').test
  for use in (
    lambda: corrupted_sets.open_corrupted_set(dataset, [], f'{_ROOT}/c'),
    lambda: corrupted_sets.write_corrupted_set(dataset, f'{_ROOT}/c', []),
    lambda: trained.LogitsCache(f'{_ROOT}/cache', {}),
  ):
    with pytest.raises(InputError) as caught:
      use()
    assert caught.value.value.startswith(_ROOT)
    assert 'local disk' in caught.value.expected
