"""Tests of runs side by side: the same as in turn, errors, signals."""

import copy
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from uncertainty_distill import distribution, runs, studies
from uncertainty_distill.distribution import scheduling
from uncertainty_distill.training import jobs

import numpy as np
import pytest
import tiny_study

ROOT = pathlib.Path(__file__).parents[2]


def _weights(directory, name):
  run = runs.open_run(os.path.join(directory, name), 'run')
  return run.config.runtime.num_threads, [
    weight.numpy() for weight in run.load_model().weights
  ]


@pytest.mark.slow
def test_runs_side_by_side_are_those_in_turn(done, tmp_path):
  study, outcome, _ = done
  threads = os.cpu_count()  # As many as the runs in turn had.
  study = dataclasses.replace(study, config=copy.deepcopy(study.config))
  study.config.runtime.num_threads = threads
  beside = str(tmp_path / 'beside')
  table = studies.run_study(
    study, beside, tiny_study.cpu(), distribution.ProcessPool(2)
  )
  assert table.tables == outcome.tables and not table.missing
  for name in tiny_study.RUNS:
    _, expected = _weights(outcome.directory, name)
    number, weights = _weights(beside, name)
    assert number == threads
    for weight, wanted in zip(weights, expected, strict=True):
      np.testing.assert_array_equal(weight, wanted)


@pytest.fixture(name='job')
def _job(tmp_path):
  """A function that makes a job from a label and a learning rate."""
  study = tiny_study.read(tmp_path / 'study.yaml')

  def make(label, rate=0.1):
    config = study.system_config('single_network', 0)
    config.trainer.base_learning_rate = rate
    config.trainer.recovery_max_trials = 0
    return jobs.TrainingJob(label, config, str(tmp_path / label), False)

  return make


def _run(*jobs):
  tasks = [scheduling.Task(j.label, lambda j=j: j) for j in jobs]
  return scheduling.run(tasks, distribution.ProcessPool(2))


def test_each_run_has_its_own_number_of_threads(job):
  one, other = job('one'), job('other')
  one.config.runtime.num_threads, other.config.runtime.num_threads = 1, 2
  tasks = [scheduling.Task(j.label, lambda j=j: j) for j in (one, other)]
  assert not scheduling.run(tasks, distribution.ProcessPool(1))
  for each in one, other:
    run = runs.open_run(each.path, 'run')
    assert run.is_complete
    assert run.config.runtime.num_threads == each.config.runtime.num_threads


def test_a_run_that_diverges_does_not_stop_the_rest(job):
  bad, good = job('bad', 1e30), job('good')
  assert list(_run(bad, good)) == ['bad']
  run = runs.open_run(good.path, 'run')
  assert run.is_complete
  # The run folder says how many of the cores the run had.
  assert run.config.runtime.num_threads == max(1, os.cpu_count() // 2)


@pytest.mark.slow
def test_what_is_killed_each_time_is_an_error_at_the_end(job):
  killed = tiny_study.KillsProcess(**vars(job('killed')))
  with pytest.raises(ChildProcessError, match='-9'):
    scheduling.raise_failure(_run(killed))


@pytest.mark.slow
def test_a_stopped_command_goes_on(tmp_path):
  path = tmp_path / 'study.yaml'
  tiny_study.read(path)
  command = [
    sys.executable,
    str(ROOT / 'baselines' / 'cifar' / 'reproduce.py'),
    f'--study={path}',
    f'--output_dir={tmp_path / "output"}',
    '--parallel=2',
  ]
  process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
  member = tmp_path / 'output' / tiny_study.RUNS[0]
  deadline = time.monotonic() + 120
  while not member.exists() and time.monotonic() < deadline:
    time.sleep(0.05)
  process.send_signal(signal.SIGTERM)
  assert 'Traceback' not in process.communicate()[1]
  assert process.returncode == 143
  subprocess.run(command, check=True, capture_output=True)
  for name in tiny_study.RUNS:
    assert runs.open_run(str(tmp_path / 'output' / name), 'run').is_complete
  results = json.loads((tmp_path / 'output' / 'results.json').read_text())
  assert len(results['results']) == 15
