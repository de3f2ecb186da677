"""Tests of reports with corruption errors against a baseline."""

import json

from uncertainty_distill import (
  configs,
  data,
  evaluation,
  runs,
  trained,
  training,
)
from uncertainty_distill.evaluation import baseline_errors

import experiments
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_runs
from refusals import refused

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')
_TEXT = (
  'trainer.train_steps=5,task.model.ensemble_size=1,'
  'task.validation_data.num_examples=70,'
  'task.validation_data.global_batch_size=35,'
  'evaluation.corruptions=[contrast],evaluation.severities=[1]'
)

# report_test.py tests the pictures.
pytestmark = pytest.mark.usefixtures('undrawn')


def _config(baseline=''):
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  config.evaluation.mce_baseline = baseline
  return training.resolve(config)


@pytest.fixture(name='folders', scope='module')
def _folders(tmp_path_factory):
  """Run folders of two networks with random weights."""
  found = []
  for seed in range(2):
    config = _config()
    config.task.seed = seed
    path = str(tmp_path_factory.mktemp('run'))
    runs.claim_run(path, config)
    tf_keras.utils.set_random_seed(seed)
    model = config.task.model.build()
    tf.train.CheckpointManager(
      tf.train.Checkpoint(model=model), path, max_to_keep=1
    ).save(checkpoint_number=5)
    found.append(path)
  return found


def _report(folders, baseline, directory):
  """Returns the summary and the accuracies by label and shift."""
  systems = [evaluation.System('student', 0, (folders[0],))]
  experiments.assess(systems, _config(baseline), _CPU, str(directory), 'Title')
  summary = json.loads((directory / 'summary.json').read_text())
  results, _ = evaluation.read_json(directory / 'results.json')
  text = (directory / 'report.md').read_text()
  assert ('## Corruption error' in text) == bool(baseline)
  return summary, {
    (r.model, r.shift.label): r.metrics['accuracy'] for r in results
  }


def test_any_baseline(folders, tmp_path):
  summary, accuracies = _report(folders, '', tmp_path / 'none')
  assert 'mce' not in summary['student']
  clean, shifted = (
    1 - accuracies['student', shift] for shift in ('clean', 'contrast/1')
  )

  # The baseline is a run that is evaluated with the others.
  summary, accuracies = _report(folders, folders[1], tmp_path / 'run')
  below = 1 - accuracies['mce_baseline', 'contrast/1']
  assert summary['student']['mce']['mean'] == pytest.approx(shifted / below)
  assert summary['mce_baseline']['mce']['mean'] == 1

  # The baseline is a system of the report, or its results in another report.
  summary, _ = _report(folders, 'student', tmp_path / 'own')
  assert summary['student']['mce'] == {'mean': 1, 'std': None}
  file = tmp_path / 'run' / 'results.json'
  with refused('evaluation.mce_baseline', str(file), 'student'):
    _report(folders, str(file), tmp_path / 'stored')
  name = f'{file}:mce_baseline'
  summary, _ = _report(folders, name, tmp_path / 'stored')
  assert summary['student']['mce']['mean'] == pytest.approx(shifted / below)
  assert 'mce_baseline' not in summary

  # Stored predictions: the classes of clean images are right, and the scores of
  # every second corrupted image are wrong.
  labels = data.open_dataset('digits').test.labels[:70]
  wrong = (labels + np.arange(70) % 2) % 10
  path = str(tmp_path / 'baseline.npz')
  np.savez(path, clean=labels, contrast_1=np.eye(10)[wrong])
  summary, _ = _report(folders, path, tmp_path / 'npz')
  values = summary['student']
  assert values['mce']['mean'] == pytest.approx(2 * shifted)
  expected = 2 * (shifted - clean)
  assert values['relative_mce']['mean'] == pytest.approx(expected)

  # Only the images that the systems are scored on count: of the first three,
  # one is wrong, and all of the rest.
  wrong[3:] = (labels[3:] + 1) % 10
  np.savez(path, clean=labels, contrast_1=wrong)
  config = _config(path)
  config.evaluation.num_examples = 3
  experiment = experiments.opened(config, _CPU)
  rates = baseline_errors.read_errors(experiment, [])
  assert sorted(rates.values()) == [0, pytest.approx(1 / 3)]


def test_a_system_of_another_report_is_no_baseline(tmp_path):
  config = tiny_runs.config('evaluation.mce_baseline=single_network')
  model = trained.open_trained(
    [tiny_runs.save(str(tmp_path / 'run'), config)], 'run'
  )
  assert not evaluation.default_experiment(model).evaluation.mce_baseline


def test_baselines_that_are_none(folders, tmp_path):
  path = str(tmp_path / 'baseline.npz')
  for arrays, value in (
    ({'clean': np.zeros(70, int)}, 'contrast/1'),
    ({'contrast_1': np.zeros(71, int)}, f'contrast_1 [71] in {path}'),
    ({'contrast_1': np.zeros([70, 1])}, f'contrast_1 [70, 1] in {path}'),
    ({'contrast_9': np.zeros(70, int)}, 'contrast_9'),
    ({'sleet_1': np.zeros(70, int)}, 'sleet_1'),
  ):
    np.savez(path, **arrays)
    with refused('evaluation.mce_baseline', value):
      _report(folders, path, tmp_path / 'report')
  with refused('evaluation.mce_baseline', 'teacher', 'student'):
    _report(folders, 'teacher', tmp_path / 'report')
  missing = str(tmp_path / 'missing')
  opened = experiments.opened(_config(missing), _CPU)
  with refused('evaluation.mce_baseline', missing, 'exists'):
    evaluation.with_baseline([], opened)
