"""Tests of the benchmark of the time until the first training step."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

_ROOT = pathlib.Path(__file__).parents[2]


def _measure(flag):
  """Returns the lines that the command prints."""
  done = subprocess.run(
    [
      sys.executable,
      'benchmarks/startup.py',
      '--params_override=task.model.ensemble_size=1',
      flag,
    ],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=True,
    timeout=300,
  )
  return done.stdout.splitlines()


def test_a_process_tells_how_long_its_phases_took():
  started = time.time()
  *_, line = _measure(f'--started={started!r}')
  seconds = json.loads(line)
  assert {'import the package', 'trace', 'first step'} <= seconds.keys()
  assert min(seconds.values()) > 0
  assert sum(seconds.values()) < time.time() - started


@pytest.mark.slow
def test_phases_add_up():
  header, _, *lines = _measure('--repetitions=1')
  assert header == '| seconds | median | least | most |'
  rows = [line.strip('| ').split(' | ') for line in lines]
  seconds = {name: float(median) for name, median, *_ in rows}
  del seconds['one further step']
  total = seconds.pop('all of it')
  assert {'import the package', 'trace', 'first step'} <= seconds.keys()
  # Each time is rounded to a hundredth.
  assert abs(total - sum(seconds.values())) < 0.01 * len(seconds)
