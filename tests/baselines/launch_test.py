"""Tests of what the commands share: their flags, their help, their GPUs."""

import os
import subprocess
import sys

import pytest
import running


@pytest.mark.parametrize(
  'name, flag',
  [
    ('distill', '--teacher_cache'),
    ('evaluate', '--run'),
    ('export', '--tflite'),
    ('make_corrupted', '--processes'),
    ('predict', '--[no]json'),
    ('reconstruct', '--ranks'),
    ('reproduce', '--[no]dry_run'),
    ('train', '--model_dir'),
  ],
)
def test_help_lists_the_flags_and_succeeds(name, flag):
  done = running.run(name, '--help')
  assert (done.returncode, done.stderr) == (0, '')
  assert f'\n  {flag}: ' in done.stdout


def test_flags_may_follow_images(tmp_path):
  done = running.run('predict', 'a.png', '--model', tmp_path, '--json')
  assert done.returncode == 2 and '--model' in done.stderr
  assert str(tmp_path) in done.stderr


def test_no_more_runs_at_a_time_than_gpus():
  code = (
    'from uncertainty_distill import configs\n'
    'from uncertainty_distill.baselines.cifar import launch\n'
    'import tensorflow as tf\n'
    "config = configs.load_config('digits_wrn10_1')\n"
    'for gpus in 0, 1, 2, 3:\n'
    '  tf.config.list_physical_devices = lambda kind: [kind] * gpus\n'
    '  pool = launch.processes(config, 3)\n'
    '  print(pool and pool.max_jobs)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  lines = [line for line in done.stdout.splitlines() if 'at a time' not in line]
  assert lines == ['3', 'None', '2', '3']


def test_output_that_nobody_reads_ends_a_command_quietly():
  code = (
    'from uncertainty_distill.baselines.cifar import launch\n'
    "launch.run(lambda: print('x' * 100))\n"
  )
  environment = os.environ | {'PYTHONUNBUFFERED': ''}
  with subprocess.Popen(
    [sys.executable, '-c', code],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    env=environment,
  ) as command:
    command.stdout.close()
    errors = command.stderr.read()
  assert command.returncode == 141 and b'Broken' not in errors
