"""Tests of what the commands do when a signal tells them to end."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
import running

_EXPERIMENT = '--experiment=digits_wrn10_1'


@pytest.fixture(name='start')
def _start():
  """A function that starts a command, which is killed when the test ends."""
  processes = []

  def start(*words, script=None):
    python, here, *flags = running.command(*words)
    processes.append(
      subprocess.Popen(
        [python, script or here, *flags],
        cwd=running.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
      )
    )
    return processes[-1]

  yield start
  for process in processes:
    process.kill()
    process.wait()


def _wait(process, condition):
  """Waits until a condition holds while the process runs."""
  deadline = time.monotonic() + 120
  while not condition():
    assert time.monotonic() < deadline and process.poll() is None
    time.sleep(0.01)


def _wait_for_tensorflow(process):
  """Waits until the process is importing TensorFlow."""
  maps = pathlib.Path(f'/proc/{process.pid}/maps')
  _wait(process, lambda: b'libtensorflow_cc' in maps.read_bytes())


def _copy(name, folder):
  """Copies a command into a new folder; returns its path there."""
  folder.mkdir(parents=True)
  return shutil.copy(running.ROOT / f'baselines/cifar/{name}.py', folder)


def _end(process, number):
  """Sends a signal; returns the exit code and the last line's first word."""
  process.send_signal(number)
  said = process.communicate(timeout=60)[1]
  assert 'Traceback' not in said
  last = said.strip().splitlines()[-1]
  return process.returncode, last.partition(':')[0]


@pytest.mark.parametrize(
  'number, code, word',
  [
    (signal.SIGTERM, 143, 'terminated'),
    (signal.SIGINT, 130, 'interrupted'),
  ],
)
def test_while_tensorflow_starts(number, code, word, start, tmp_path):
  process = start('train', _EXPERIMENT, f'--model_dir={tmp_path / "new"}')
  _wait_for_tensorflow(process)
  assert _end(process, number) == (code, word)
  assert not (tmp_path / 'new').exists()


def test_stopped_it_saves_at_once_and_called_again_goes_on(start, tmp_path):
  train = (
    'train',
    _EXPERIMENT,
    f'--model_dir={tmp_path}',
    '--ensemble_size=1',
    '--params_override=teacher.epochs=8,trainer.checkpoint_interval=1000,'
    'trainer.validation_interval=50',
  )
  process = start(*train)
  log = tmp_path / 'train.log'
  # The signal comes during an evaluation; a checkpoint is saved all the same.
  _wait(
    process,
    lambda: log.is_file() and 'eval | step:     50' in log.read_text(),
  )
  assert _end(process, signal.SIGTERM) == (143, 'terminated')
  (step,) = {
    int(path.stem.split('-')[1]) for path in tmp_path.glob('ckpt-*.index')
  } - {10}
  assert 50 <= step < 96
  assert not (tmp_path / '.lock').exists()
  due = (tmp_path / 'evaluation_due').read_text()
  assert int(due) in (step, (step // 50 + 1) * 50)
  done = running.succeed(*train, '--mode=train')
  assert (tmp_path / 'ckpt-96.index').is_file()
  assert f'{step}/96' in done.stderr  # The bar begins at the saved step.


def test_a_command_of_another_clone(start, tmp_path):
  copy = _copy('train', tmp_path / 'clone' / 'baselines' / 'cifar')
  process = start('train', _EXPERIMENT, '--model_dir=none', script=copy)
  _wait_for_tensorflow(process)
  assert _end(process, signal.SIGTERM) == (143, 'terminated')


@pytest.mark.slow
def test_a_command_from_anywhere_keeps_others_out(start, tmp_path):
  run = tmp_path / 'run'
  copy = _copy('train', tmp_path / 'scripts')
  train = (
    'train',
    _EXPERIMENT,
    f'--model_dir={run}',
    '--ensemble_size=1',
    f'--params_override={running.EAGER.rstrip(",")}',
  )
  process = start(*train, script=copy)
  _wait(
    process,
    lambda: (
      (run / 'train.log').is_file()
      and 'step:' in (run / 'train.log').read_text()
    ),
  )
  refused = running.run(*train)
  assert refused.returncode == 2 and 'Traceback' not in refused.stderr
  assert str(process.pid) in refused.stderr.splitlines()[-1]
  assert _end(process, signal.SIGTERM) == (143, 'terminated')
  assert list(run.glob('ckpt-*.index'))


@pytest.mark.slow
def test_while_a_saved_model_is_written(start, student, tmp_path):
  folder = tmp_path / 'served'
  process = start('export', f'--run={student[0]}', f'--output_dir={folder}')
  _wait(process, lambda: (tmp_path / '.served.partial').exists())
  assert _end(process, signal.SIGINT) == (130, 'interrupted')
  assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_while_it_is_evaluated(start, student, tmp_path):
  process = start(
    'evaluate',
    f'--run={student[0]}',
    f'--output_dir={tmp_path}',
    '--params_override=evaluation.corruptions=[all]',
  )
  said = ''
  # Another line comes first: it says that the student is hardly trained.
  while 'evaluating' not in said:
    said += (read := process.stderr.read(1))
    assert read, said
  assert _end(process, signal.SIGTERM) == (143, 'terminated')
  assert not os.listdir(tmp_path)


def test_a_second_signal_stops_at_once(start, tmp_path):
  process = start(
    'make_corrupted',
    '--dataset=digits',
    f'--output_dir={tmp_path}',
    '--processes=1',
    '--corruptions=elastic_transform,glass_blur',
  )
  partial = tmp_path / '.elastic_transform.partial'
  # Data follow the array's header as soon as the other processes work.
  _wait(process, lambda: partial.exists() and any(partial.read_bytes()[128:]))
  process.send_signal(signal.SIGTERM)
  process.send_signal(signal.SIGINT)
  said = process.communicate(timeout=60)[1]
  # Of two signals at the same time, Python handles the lower number first.
  assert process.returncode in (130, 143)
  assert 'Traceback' not in said
  # The command has not cleaned up.
  holder = json.loads((tmp_path / '.lock.json').read_text())
  assert holder['pid'] == process.pid
