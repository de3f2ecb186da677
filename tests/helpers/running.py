"""Runs the public commands as a user runs them."""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
# A few steps take less time than their compilation.
EAGER = (
  'trainer.train_tf_function=false,trainer.train_tf_while_loop=false,'
  'trainer.eval_tf_function=false,trainer.eval_tf_while_loop=false,'
)
# Trains a student of two members and its teacher in seconds.
SHORT = EAGER + (
  'trainer.epochs=0.3,teacher.epochs=0.3,teacher.ensemble_size=2,'
  'task.model.ensemble_size=2,task.validation_data.num_examples=70,'
  'task.validation_data.global_batch_size=32,'
  'evaluation.corruptions=[contrast],evaluation.severities=[5]'
)
# The same without the number of members, for calls with --ensemble_size.
SHORT_OF_ANY_SIZE = SHORT.replace('task.model.ensemble_size=2,', '')


def command(name, *flags):
  """Returns the words of a command."""
  return [sys.executable, f'baselines/cifar/{name}.py', *map(str, flags)]


def run(name, *flags):
  """Runs a command to its end; returns its output and exit code.

  A process that has imported TensorFlow forks the command (see `forking`).
  """
  words = command(name, *flags)
  with tempfile.TemporaryDirectory() as folder:
    streams = [os.path.join(folder, stream) for stream in ('out', 'err')]
    forks = _forks()
    request = {
      'words': words[1:],
      'environment': _environment(),
      'streams': streams,
    }
    print(json.dumps(request), file=forks.stdin, flush=True)
    code = int(forks.stdout.readline())
    said = [pathlib.Path(stream).read_text() for stream in streams]
  return subprocess.CompletedProcess(words, code, *said)


def run_anew(name, *flags):
  """Runs a command to its end in a new process."""
  return subprocess.run(
    command(name, *flags),
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
    timeout=300,
    env=_environment(),
  )


@functools.cache
def _forks():
  """Starts the process to fork commands from; it ends with this process."""
  return subprocess.Popen(
    [sys.executable, pathlib.Path(__file__).with_name('forking.py')],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env=_environment(),
  )


def _environment():
  """Returns the environment of a user's shell, without a variable by JAX."""
  environment = {**os.environ}
  environment.pop('TF_CPP_MIN_LOG_LEVEL', None)
  return environment


def succeed(name, *flags):
  """Runs a command that must succeed; returns its output."""
  done = run(name, *flags)
  assert done.returncode == 0, done.stderr
  return done


def imported_after(code):
  """Returns the modules that a new process has imported after some code."""
  code = f'import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))'
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    check=True,
    timeout=120,
  )
  return set(json.loads(done.stdout.splitlines()[-1]))


def check_mistakes(calls, folders):
  """Runs commands that must fail for a user's mistakes, and change no file.

  Args:
    calls: A mapping from any key to the names that must be said and to the
      arguments of `run`. The names are flags, files, config values and values
      that the user may have meant, with spaces between the names.
    folders: The folders in which no file may change, appear or disappear.
  """
  before = [_files(folder) for folder in folders]
  said = {key: (names, run(*words)) for key, (names, words) in calls.items()}

  def is_one_line(said: str) -> bool:
    # A line before the error may name values that have no effect.
    said = re.sub(
      '^These values are set but have no effect here: .*\n', '', said
    )
    return said.startswith('\nerror: ') and len(said.splitlines()) == 2

  wrong = {
    key: (names, done)
    for key, (names, done) in said.items()
    if done.returncode != 2
    or not all(name in done.stderr for name in names.split())
    or not is_one_line(done.stderr)
    or len(done.stderr) > 1500
  }
  assert not wrong, '\n'.join(map(repr, wrong.items()))
  assert [_files(folder) for folder in folders] == before


def _files(folder):
  """Returns all folders below a folder, and the files' sizes and times."""
  stats = {path: path.stat() for path in pathlib.Path(folder).rglob('*')}
  return {
    path: (s.st_size, s.st_mtime_ns) if path.is_file() else None
    for path, s in stats.items()
  }
