"""Tests of what TensorBoard shows of a study, by asking TensorBoard itself."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

from uncertainty_distill import configs, evaluation, metrics, runs, training
from uncertainty_distill.data import corruptions
from uncertainty_distill.metrics import ranking
from uncertainty_distill.reports import results_tensorboard

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from tensorboard.backend.event_processing import event_accumulator

_CONTRAST = corruptions.Corruption.CONTRAST
# The bins of 10 clean images and of 10 corrupted ones. The model is equally
# confident on corrupted images but less often right.
_COUNT, _CONFIDENCE = [1.0, 3.0, 6.0], [0.2, 1.6, 5.4]
_CORRECT = {0: [0.0, 2.0, 6.0], 1: [0.0, 2.0, 5.0], 5: [0.0, 1.0, 2.0]}


def _results(label, seed, nll):
  """Returns records with an NLL of 0.1 clean and of `nll` corrupted."""
  records = []
  for shift, value in (
    (corruptions.CLEAN, 0.1),
    (corruptions.Shift(_CONTRAST, 1), nll / 2),
    (corruptions.Shift(_CONTRAST, 5), nll * 3 / 2),
  ):
    values = dict.fromkeys(metrics.METRICS, 0.5) | {'nll': value}
    records.append(
      evaluation.Result(
        label,
        seed,
        shift,
        10,
        values,
        _COUNT,
        _CONFIDENCE,
        _CORRECT[shift.severity],
      )
    )
  return records


def _claim(path, text):
  """Makes a run folder that seems to be complete; returns its path."""
  config = configs.load_config('digits_wrn10_1', params_override=text)
  run = runs.claim_run(str(path), training.resolve(config))
  (path / f'ckpt-{run.config.trainer.train_steps}.index').touch()
  return run.path


@pytest.fixture(name='study', scope='module')
def _study(tmp_path_factory):
  """A study's folder: a student of two seeds and its teacher of two members."""
  folder = tmp_path_factory.mktemp('study')
  student = 'task.objective.kind=knowledge,task.objective.teacher=[x]'
  single = 'task.objective.kind=cross_entropy,task.model.ensemble_size=1'
  systems = [
    evaluation.System(
      'deep_ensemble',
      None,
      tuple(
        _claim(
          folder / 'deep_ensemble' / f'member_{i}', f'{single},task.seed={i}'
        )
        for i in range(2)
      ),
    )
  ] + [
    evaluation.System(
      'student',
      seed,
      (
        _claim(
          folder / 'student' / f'seed_{seed}', f'{student},task.seed={seed}'
        ),
      ),
    )
    for seed in range(2)
  ]
  # A system without a run folder, such as a SavedModel, is left out.
  (folder / 'served').mkdir()
  (folder / 'served' / 'saved_model.pb').touch()
  systems.append(evaluation.System('model', None, (str(folder / 'served'),)))
  results = [
    record
    for label, seed, nll in (
      ('deep_ensemble', None, 1.5),
      ('student', 0, 2.0),
      ('student', 1, 1.0),
      ('model', None, 3.0),
    )
    for record in _results(label, seed, nll)
  ]
  written = [results_tensorboard.are_written(s, str(folder)) for s in systems]
  results_tensorboard.write_summaries(systems, results, str(folder))
  assert not any(written)
  assert [results_tensorboard.are_written(s, str(folder)) for s in systems] == [
    True,
    True,
    True,
    False,
  ]
  return folder


@pytest.fixture(name='ask', scope='module')
def _ask(study):
  """A function that queries a TensorBoard that shows the study."""
  process = subprocess.Popen(
    [
      sys.executable,
      '-m',
      'tensorboard.main',
      f'--logdir={study}',
      '--port=0',
      '--load_fast=false',
      '--reload_interval=1',
    ],
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    # TensorBoard prints some other lines before the line with its address.
    said = next(line for line in process.stderr if ' at http:' in line)
    yield _asking(re.search(r'http:\S+', said).group())
  finally:
    process.terminate()
    process.wait()


def _asking(url):
  """Returns the query function once TensorBoard has read all runs."""

  def ask(route, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {'Content-Type': 'application/json'}
    request = urllib.request.Request(f'{url}data/{route}', data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
      return json.loads(answer.read())

  end = time.monotonic() + 60
  while len(ask('runs')) < 6:  # TensorBoard reads the runs in turn.
    assert time.monotonic() < end
    time.sleep(0.1)
  return ask


def test_names_say_which_run_it_is(ask):
  assert sorted(ask('runs')) == [
    f'{system}/{part}'
    for system in ('deep_ensemble', 'student/seed_0', 'student/seed_1')
    for part in ('corrupted', 'results')
  ]


def test_hparams_sorts_systems_by_their_corrupted_nll(ask):
  metric = {'group': '', 'tag': 'results/c_nll'}
  answer = ask(
    'plugin/hparams/session_groups',
    {
      'experimentName': '',
      'startIndex': 0,
      'sliceSize': 100,
      'allowedStatuses': ['STATUS_UNKNOWN'],
      'colParams': [{'metric': metric, 'order': 'ORDER_ASC'}],
    },
  )
  trials = answer['sessionGroups']
  found = [
    (trial['name'], value['value'])
    for trial in trials
    for value in trial['metricValues']
    if value['name']['tag'] == metric['tag']
  ]
  assert found == [
    ('student/seed_1/results', 1.0),
    ('deep_ensemble/results', 1.5),
    ('student/seed_0/results', 2.0),
  ]
  student, teacher, _ = (trial['hparams'] for trial in trials)
  assert student['objective.kind'] == 'knowledge'
  assert student['model.ensemble_size'] == 4 and student['seed'] == 1
  assert student['initial_weights'] == 'random'
  # The teacher has the values that its members share, and their number.
  assert teacher['model.ensemble_size'] == 2
  assert teacher['objective.kind'] == 'cross_entropy'
  assert teacher['System'] == 'deep_ensemble' and 'seed' not in teacher


def test_hparams_shows_first_what_differs_and_nothing_else_than_results(ask):
  experiment = ask('plugin/hparams/experiment', {'experimentName': ''})
  assert [m['name']['tag'] for m in experiment['metricInfos']] == [
    'results/c_accuracy',
    'results/c_ece',
    'results/c_nll',
    'results/clean_accuracy',
    'results/clean_ece',
    'results/clean_gibbs_nll',
    'results/clean_nll',
  ]
  differing = [h['name'] for h in experiment['hparamInfos'] if h['differs']]
  assert differing == [
    'System',
    'model.ensemble_size',
    'objective.kind',
    'objective.weight',
    'seed',
  ]


def _read(*parts):
  path = os.path.join(*parts)
  return event_accumulator.EventAccumulator(
    path, size_guidance={'tensors': 0}
  ).Reload()


def test_pictures_and_histograms_are_of_their_test_sets(study):
  clean = _read(study, 'student/seed_0/results')
  assert clean.PluginTagToContent('images').keys() == {
    'calibration/reliability'
  }
  corrupted = _read(study, 'student/seed_0/corrupted')
  assert corrupted.PluginTagToContent('images').keys() == {
    'calibration/reliability_severity_5',
    'corruption/severity',
    'corruption/severity_boxes',
    'corruption/diversity',
    'corruption/heat_map_accuracy',
    'corruption/heat_map_ece',
    'corruption/heat_map_nll',
  }
  thirds = np.linspace(0, 1, 4)
  for events, total, wrong in (
    (clean, _COUNT, [1, 1, 0]),
    (corrupted, [2, 6, 12], [2, 3, 5]),
  ):
    for tag, heights in (
      ('all_predictions', total),
      ('wrong_predictions', wrong),
    ):
      (event,) = events.Tensors(f'confidence/{tag}')
      np.testing.assert_allclose(
        tf.make_ndarray(event.tensor_proto),
        np.stack([thirds[:-1], thirds[1:], heights], 1),
      )


def test_only_the_last_evaluation_is_shown(tmp_path):
  path = _claim(tmp_path / 'run', 'task.seed=0')
  system = evaluation.System('student', 0, (path,))
  for nll in 1.0, 3.0, 2.0:
    results_tensorboard.write_summaries(
      [system], _results('student', 0, nll), path
    )
  for folder in 'results', 'corrupted':
    (name,) = os.listdir(tmp_path / 'run' / folder)
    assert 'tfevents' in name
  (event,) = _read(path, 'results').Tensors('results/c_nll')
  assert tf.make_ndarray(event.tensor_proto) == 2.0
  # Old summaries go also if there are no corrupted images any more.
  clean = [
    dataclasses.replace(r, risks=(0.1,) * len(ranking.COVERAGES))
    for r in _results('student', 0, 2.0)
    if not r.shift.severity
  ]
  results_tensorboard.write_summaries([system], clean, path)
  assert not os.listdir(tmp_path / 'run' / 'corrupted')
  pictures = _read(path, 'results').PluginTagToContent('images')
  assert [name.split('/')[-1] for name in pictures] == [
    'reliability',
    'risk_coverage',
  ]


@pytest.mark.parametrize('stopped_in', ['_write_corrupted', '_write_results'])
def test_what_was_not_written_to_its_end_is_written_again(
  stopped_in, tmp_path, monkeypatch
):
  path = _claim(tmp_path / 'run', 'task.seed=0')
  system = evaluation.System('student', 0, (path,))

  def write(nll):
    results_tensorboard.write_summaries(
      [system], _results('student', 0, nll), path
    )
    return results_tensorboard.are_written(system, path)

  def stopped(*arguments):
    whole(*arguments)
    raise KeyboardInterrupt

  whole = results_tensorboard._write_calibration
  assert write(1.0)
  results_tensorboard.discard(system, path)
  with monkeypatch.context() as patched:
    if stopped_in == '_write_results':
      patched.setattr(results_tensorboard, '_write_corrupted', lambda *_: None)
    patched.setattr(results_tensorboard, '_write_calibration', stopped)
    with pytest.raises(KeyboardInterrupt):
      write(2.0)
  assert not results_tensorboard.are_written(system, path)
  assert write(3.0)
  for folder in 'results', 'corrupted':
    (name,) = os.listdir(tmp_path / 'run' / folder)
    assert name.endswith('.v2')
  (event,) = _read(path, 'results').Tensors('results/c_nll')
  assert tf.make_ndarray(event.tensor_proto) == 3.0


def test_a_folder_that_cannot_be_written_costs_its_summaries_alone(
  tmp_path, caplog
):
  path = _claim(tmp_path / 'run', 'task.seed=0')
  (tmp_path / 'run' / 'results').write_text('in the way')
  system = evaluation.System('student', 0, (path,))
  results_tensorboard.write_summaries(
    [system], _results('student', 0, 1.0), path
  )
  (line,) = caplog.messages
  assert 'student' in line and path in line


def test_a_run_outside_of_the_report_is_only_read(tmp_path):
  path = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  before = sorted(os.listdir(path))
  report = tmp_path / 'report'
  systems = [evaluation.System('model', None, (path,))]
  results_tensorboard.write_summaries(
    systems, _results('model', None, 1.0), str(report)
  )
  assert sorted(os.listdir(path)) == before
  assert results_tensorboard.are_written(systems[0], str(report))
  assert sorted(os.listdir(report / 'model')) == ['corrupted', 'results']
