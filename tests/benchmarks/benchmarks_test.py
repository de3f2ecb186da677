"""Every benchmark that `make benchmark` runs works, with little to measure."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
  'command, rows',
  [
    (
      'evaluation.py --models=1 --members=2 --size=16 --examples=16 --batch=8 '
      '--corruptions=contrast --rounds=1',
      3,
    ),
    ('input.py --examples=64 --size=8 --batch=8 --steps=2 --rounds=1', 3),
    (
      'steps.py --networks=10-1x2 --members=2 --rounds=1 --steps=evaluation '
      '--systems=batch_ensemble',
      2,
    ),
    ('latency.py --networks=10-1 --members=2 --batches=1 --seconds=0.1', 6),
  ],
)
def test_it_prints_its_table(command, rows):
  script, *words = command.split()
  done = subprocess.run(
    [sys.executable, _ROOT / 'benchmarks' / script, *words],
    capture_output=True,
    text=True,
    check=True,
    timeout=300,
  )
  table = [line for line in done.stdout.splitlines() if line.startswith('|')]
  assert len(table) - 2 == rows
