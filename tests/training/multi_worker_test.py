"""Tests of two real worker processes on this machine, as users run them."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

from uncertainty_distill import configs, evaluation, runs, training

import experiments
import pytest
import run_weights
import running
import tensorflow as tf

# session_test.py has quick tests of replicas in one process.
pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_LIMIT_SECONDS = 600
# A teacher of one member and a student of two. With 75 images in batches of 50,
# the second worker gets only padding in the last batch.
_TEXT = (
  'trainer.train_steps=4,trainer.steps_per_loop=2,trainer.warmup_epochs=0,'
  'trainer.checkpoint_interval=2,trainer.max_to_keep=3,'
  'trainer.validation_interval=4,trainer.decay_fractions=[0.7],'
  'teacher.ensemble_size=1,teacher.global_batch_size=32,'
  'task.model.ensemble_size=2,task.model.sync_batch_norm=true,'
  'task.train_data.num_examples=128,task.train_data.global_batch_size=32,'
  'task.validation_data.num_examples=75,'
  'task.validation_data.global_batch_size=50,'
  'evaluation.corruptions=[contrast],evaluation.severities=[5],'
  'evaluation.temperature_examples=70'
)


@contextlib.contextmanager
def _start_workers(folders, text=_TEXT):
  """Runs distill.py in several workers."""
  with contextlib.ExitStack() as sockets:
    ports = []
    for _ in folders:
      probe = sockets.enter_context(socket.socket())
      probe.bind(('localhost', 0))
      ports.append(probe.getsockname()[1])
  hosts = [f'localhost:{port}' for port in ports]
  processes = []
  try:
    for index, folder in enumerate(folders):
      task = {'type': 'worker', 'index': index}
      cluster = {'cluster': {'worker': hosts}, 'task': task}
      processes.append(
        subprocess.Popen(
          [
            sys.executable,
            'baselines/cifar/distill.py',
            '--experiment=digits_wrn10_1',
            f'--model_dir={folder}',
            f'--params_override={text},'
            'runtime.distribution_strategy=multi_worker_mirrored',
          ],
          env={**os.environ, 'TF_CONFIG': json.dumps(cluster)},
          cwd=_ROOT,
          stdout=subprocess.PIPE,
          stderr=subprocess.PIPE,
          text=True,
        )
      )
    yield processes
  finally:
    for process in processes:
      process.kill()


def _run_workers(*folders):
  """Returns the exit codes and the output of workers."""
  with _start_workers(folders) as processes:
    said = [p.communicate(timeout=_LIMIT_SECONDS) for p in processes]
  return [(p.returncode, *texts) for p, texts in zip(processes, said)]


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """The student's folder after one process has trained and evaluated it."""
  path = str(tmp_path_factory.mktemp('alone') / 'student')
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  run = experiments.distill(config, path, strategy)
  systems = [
    evaluation.System('deep_ensemble', None, run.config.task.objective.teacher),
    evaluation.System('knowledge_student', None, (path,)),
  ]
  experiments.assess(
    systems, training.resolve(config), strategy, path, 'Distillation'
  )
  return pathlib.Path(path)


def _copy_at_step_2(run, path):
  """Copies a run's folder as it was after two steps."""
  path.mkdir(parents=True)
  for name in runs.PARAMS_FILE, 'ckpt-2.index', 'ckpt-2.data-00000-of-00001':
    shutil.copy(run / name, path)
  (path / 'checkpoint').write_text(
    'model_checkpoint_path: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-2"\n'
  )


@pytest.fixture(scope='module')
def together(alone, tmp_path_factory):
  """The student's folder of two workers, and their exit codes and output.

  The workers continue with a teacher that one process began to train.
  """
  path = tmp_path_factory.mktemp('together') / 'student'
  _copy_at_step_2(alone / 'teacher' / 'member_0', path / 'teacher' / 'member_0')
  shutil.copy(alone / runs.PARAMS_FILE, path)
  return path, _run_workers(path, path)


def test_two_workers_take_the_steps_of_one(alone, together):
  path, answers = together
  assert [code for code, *_ in answers] == [0, 0], answers
  # The teacher continues from a checkpoint, and the student begins anew.
  for run in 'teacher/member_0', '.':
    one, two = (
      runs.open_run(str(folder / run), '--run') for folder in (alone, path)
    )
    assert len(run_weights.weights(one, 4)) > 20
    run_weights.assert_same_but_for_rounding(two, one, 4)


def test_two_workers_score_each_example_once(alone, together):
  path, _ = together
  results, split = (
    json.loads((folder / 'results.json').read_text())['results']
    for folder in (alone, path)
  )
  assert len(results) == len(split) == 4
  for one, two in zip(results, split):
    assert one['num_examples'] == two['num_examples'] == 75
    assert sum(two['bin_count']) == 75
    # Every worker has fitted the temperature to all of its examples.
    assert 'scaled_nll' in two['figures']
    assert two['figures'] == pytest.approx(one['figures'], rel=1e-3)


def test_the_chief_alone_writes_and_speaks(together):
  path, ((_, said, shown), (_, said_by_other, shown_by_other)) = together
  assert 'waits for localhost:' in said and 'this is the chief' in said
  assert 'Report: ' in said and 'SavedModel: ' in said
  assert '4/4' in shown
  assert 'waits for localhost:' in said_by_other
  assert 'not the chief' in said_by_other
  assert len(said_by_other.strip().splitlines()) == 2
  assert '4/4' not in shown_by_other
  assert (path / 'saved_model' / 'saved_model.pb').is_file()
  for folder, number in ('train', 2), ('clean', 1), ('corrupted', 1):
    # The text of the configuration has an event file of its own.
    assert len(list((path / folder).iterdir())) == number
  assert not [p for p in path.rglob('*') if 'tmp' in p.name]


def test_one_process_evaluates_what_workers_trained(together, tmp_path):
  path, _ = together
  running.succeed(
    'evaluate',
    f'--run={path}',
    f'--output_dir={tmp_path}',
    '--params_override=evaluation.corruptions=[]',
  )
  (alone,) = json.loads((tmp_path / 'results.json').read_text())['results']
  results = json.loads((path / 'results.json').read_text())['results']
  (student,) = [
    r
    for r in results
    if r['model'] == 'knowledge_student' and r['corruption'] is None
  ]
  assert alone['figures'] == pytest.approx(student['figures'], rel=1e-4)


def test_workers_that_do_not_share_the_folder_say_so(alone, tmp_path):
  shutil.copytree(alone, tmp_path / 'complete')
  answers = _run_workers(tmp_path / 'complete', tmp_path / 'new')
  # One worker may end with this error before the other one notices it.
  assert {code for code, *_ in answers} <= {1, 2}, answers
  errors = ''.join(error for *_, error in answers)
  assert 'a folder that all workers share' in errors
  assert 'Traceback' not in errors


def test_a_signal_ends_each_worker_that_gets_it(tmp_path):
  text = _TEXT.replace('train_steps=4', 'train_steps=4000')
  with _start_workers([tmp_path / 'run'] * 2, text) as workers:
    index = tmp_path / 'run' / 'teacher' / 'member_0' / 'ckpt-4.index'
    while not index.exists():
      assert [worker.poll() for worker in workers] == [None, None]
      time.sleep(0.2)
    for worker in workers:
      worker.terminate()
    for worker in workers:
      worker.communicate(timeout=60)
  assert [worker.returncode for worker in workers] == [143, 143]
