"""Tests of the measurement of what precedes the first training step."""

import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[2]


def test_phases_add_up():
  done = subprocess.run(
    [
      sys.executable,
      'benchmarks/startup.py',
      '--repetitions=1',
      '--params_override=task.model.ensemble_size=1',
    ],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=True,
    timeout=300,
  )
  header, _, *lines = done.stdout.splitlines()
  assert header == '| seconds | median | least | most |'
  rows = [line.strip('| ').split(' | ') for line in lines]
  seconds = {name: float(median) for name, median, *_ in rows}
  del seconds['one further step']
  total = seconds.pop('all of it')
  assert {'import the package', 'trace', 'first step'} <= seconds.keys()
  # Each is shown to a hundredth.
  assert abs(total - sum(seconds.values())) < 0.01 * len(seconds)
