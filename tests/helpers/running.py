"""Runs the public commands as a user runs them."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
# A student of two members and its teacher, in seconds.
SHORT = (
    'trainer.epochs=0.3,teacher.epochs=0.3,teacher.ensemble_size=2,'
    'task.model.ensemble_size=2,task.validation_data.num_examples=70,'
    'task.validation_data.global_batch_size=32,'
    'evaluation.corruptions=[contrast],evaluation.severities=[5]'
)


def command(name, *flags):
  """The words of a command."""
  return [sys.executable, f'baselines/cifar/{name}.py', *map(str, flags)]


def run(name, *flags):
  """Runs a command to its end; returns what it said and its code."""
  # As a user's shell is: JAX, where it is installed, sets the variable here.
  environment = {**os.environ}
  environment.pop('TF_CPP_MIN_LOG_LEVEL', None)
  return subprocess.run(
      command(name, *flags), cwd=ROOT, capture_output=True, text=True,
      check=False, timeout=300, env=environment,
  )


def succeed(name, *flags):
  """Runs a command that is to end well; returns what it said."""
  done = run(name, *flags)
  assert done.returncode == 0, done.stderr
  return done


def imported_after(code):
  """Returns the modules that a new process has imported after some code."""
  code = f'import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))'
  done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True,
      timeout=120,
  )
  return set(json.loads(done.stdout.splitlines()[-1]))
