"""Tests of studies on a Ray cluster of two workers on this machine."""

import copy
import dataclasses
import json
import os
import secrets
import signal
import subprocess
import time

from uncertainty_distill import distribution, runs, studies, training
from uncertainty_distill.distribution import scheduling
from uncertainty_distill.io import locks

import numpy as np
import pytest
import running
import tiny_study

# The token of the cluster that these tests start. The commands that the tests
# start need the token, too. Ray reads it when Ray is imported.
os.environ['RAY_AUTH_MODE'] = 'token'
os.environ['RAY_AUTH_TOKEN'] = secrets.token_hex(32)
ray = pytest.importorskip('ray', reason='the extra `ray` is not installed')

pytestmark = pytest.mark.slow
_ONE_CORE = {'CPU': 1}


@pytest.fixture(name='cluster', scope='module')
def _cluster():
  """Yields the address of a cluster of two workers."""
  with pytest.MonkeyPatch.context() as patched:
    patched.setenv('RAY_USAGE_STATS_ENABLED', '0')
    context = ray.init(
      address='local',
      num_cpus=2,
      include_dashboard=False,
      object_store_memory=80 * 2**20,
      log_to_driver=False,
      logging_level='ERROR',
    )
    yield context.address_info['gcs_address']
    ray.shutdown()


def _weights(path):
  run = runs.open_run(path, 'run')
  assert run.is_complete
  return [weight.numpy() for weight in run.load_model().weights]


def _assert_same(path, wanted_path):
  for weight, wanted in zip(_weights(path), _weights(wanted_path), strict=True):
    np.testing.assert_array_equal(weight, wanted)


def test_a_study_comes_to_what_it_comes_to_in_turn(done, cluster, tmp_path):
  del cluster
  study, outcome, _ = done
  config = study.config
  threads = os.cpu_count()  # As many as the runs in turn had.
  study = dataclasses.replace(study, config=type(config)(config.as_dict()))
  study.config.runtime.num_threads = threads
  spread, labels = str(tmp_path / 'spread'), set()

  def note(schedule):
    labels.update(r.job.label for r in schedule.running.values())

  with locks.lock_folder(spread, 'output_dir'):
    pool = distribution.RayPool(spread, resources=_ONE_CORE)
    assert pool.parallel_evaluations == 2
    found = studies.run_study(study, spread, tiny_study.cpu(), pool, note)
  assert found.tables == outcome.tables and not found.missing
  assert {'deep_ensemble, member_0', 'head_student, seed 4'} < labels
  assert {'evaluation 1 of 2', 'evaluation 2 of 2'} < labels
  for name in tiny_study.RUNS:
    path = os.path.join(spread, name)
    assert runs.open_run(path, 'run').config.runtime.num_threads == threads
    _assert_same(path, os.path.join(outcome.directory, name))


def test_a_killed_process_costs_time_and_one_that_diverges_itself(
  cluster, tmp_path
):
  del cluster
  study = tiny_study.read(tmp_path / 'study.yaml')

  def job(label, rate=0.1):
    config = study.system_config('single_network', 0)
    config.trainer.train_steps = 6
    config.trainer.checkpoint_interval = config.trainer.steps_per_loop = 1
    config.trainer.base_learning_rate = rate
    config.trainer.recovery_max_trials = 0
    config.runtime.num_threads = os.cpu_count()
    return training.TrainingJob(label, config, str(tmp_path / label), False)

  jobs, killed = [job('killed'), job('diverges', 1e30)], []

  def kill(schedule):
    del schedule
    holder = locks.read_holder(jobs[0].path)
    if not killed and holder and jobs[0].step >= 2:
      os.kill(holder['pid'], signal.SIGKILL)
      killed.append(jobs[0].step)

  pool = distribution.RayPool(str(tmp_path), resources=_ONE_CORE)
  tasks = [scheduling.Task(j.label, lambda j=j: j) for j in jobs]
  errors = scheduling.run(tasks, pool, kill)
  assert list(errors) == ['diverges'] and errors['diverges'].step
  assert killed and killed[0] < 6
  undisturbed = job('undisturbed')
  undisturbed.run(tiny_study.cpu())
  _assert_same(jobs[0].path, undisturbed.path)


def test_a_killed_driver_is_started_again_and_a_second_one_refused(
  cluster, tmp_path
):
  path = tmp_path / 'study.yaml'
  tiny_study.read(path, seeds=[0], export='')
  output = tmp_path / 'output'
  words = [
    f'--study={path}',
    f'--output_dir={output}',
    f'--ray={cluster}',
    f'--ray_resources={json.dumps(_ONE_CORE)}',
  ]
  process = subprocess.Popen(
    running.command('reproduce', *words),
    cwd=running.ROOT,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  member = output / tiny_study.RUNS[0]
  deadline = time.monotonic() + 240
  while not member.exists() and time.monotonic() < deadline:
    time.sleep(0.05)
  second = running.run_anew('reproduce', *words)
  assert second.returncode == 2 and '--output_dir' in second.stderr
  process.kill()
  process.communicate()
  again = running.run_anew('reproduce', *words)
  assert again.returncode == 0, again.stderr
  for name in [n for n in tiny_study.RUNS if not n.endswith('seed_4')]:
    assert runs.open_run(str(output / name), 'run').is_complete
  results = json.loads((output / 'results.json').read_text())
  assert len(results['results']) == 9


def test_ctrl_c_saves_what_is_trained(cluster, tmp_path):
  path, output = tmp_path / 'study.yaml', tmp_path / 'output'
  longer = copy.deepcopy(tiny_study.STUDY['params_override'])
  longer['trainer'] |= {
    'train_steps': 10000,
    'steps_per_loop': 1,
    'checkpoint_interval': 10000,
  }
  longer['teacher'] |= {'epochs': 5000}
  tiny_study.read(path, seeds=[0], export='', params_override=longer)
  process = subprocess.Popen(
    running.command(
      'reproduce',
      f'--study={path}',
      f'--output_dir={output}',
      f'--ray={cluster}',
      f'--ray_resources={json.dumps(_ONE_CORE)}',
    ),
    cwd=running.ROOT,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  log = output / tiny_study.RUNS[0] / 'train.log'
  deadline = time.monotonic() + 240
  while time.monotonic() < deadline:
    if log.is_file() and 'step:' in log.read_text():
      break
    time.sleep(0.1)
  process.send_signal(signal.SIGINT)
  said = process.communicate(timeout=120)[1]
  assert process.returncode == 130 and 'Traceback' not in said
  assert 0 < runs.open_run(str(log.parent), 'run').step < 10000
