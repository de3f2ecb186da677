"""Tests of the timing and the tables of benchmarks, and that they run."""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / 'benchmarks'


@pytest.fixture(name='load')
def _load(monkeypatch):
  monkeypatch.syspath_prepend(str(BENCHMARKS))
  return importlib.import_module


def test_ratios_are_of_the_same_round(load):
  timing = load('interleaved_timing')
  # The machine was three times as slow in the last round.
  times = {'plain': [0.1, 0.1, 0.3], 'perturbed': [0.11, 0.12, 0.36]}
  assert timing.ratios(times, 'perturbed', 'plain') == pytest.approx(
    [1.1, 1.2, 1.2]
  )
  assert timing.cells(times, 'perturbed', 'plain') == [
    '120.0 (115.0–240.0)',
    '1.200 (1.150–1.200)',
  ]


def test_candidates_alternate(load):
  calls = []
  candidates = {name: lambda n=name: calls.append(n) for name in 'ab'}
  times = load('interleaved_timing').time_interleaved(candidates, 2)
  assert ''.join(calls) == 'aabb' + 'abab'
  assert [len(seconds) for seconds in times.values()] == [2, 2]


@pytest.mark.parametrize(
  'arguments, rows',
  [
    pytest.param(
      'steps.py --networks=10-1x2 --rounds=1 --members=2 --rank=2 '
      '--systems=batch_ensemble,edward2,cached_teacher',
      8,
      marks=pytest.mark.slow,
    ),
    pytest.param(
      'latency.py --networks=10-1 --batches=1,9 --seconds=0.1',
      7,
      marks=pytest.mark.slow,
    ),
    ('input.py --examples=300 --batch=20 --steps=2 --rounds=1', 3),
  ],
)
def test_prints_a_table(arguments, rows):
  script, *flags = arguments.split()
  done = subprocess.run(
    [sys.executable, BENCHMARKS / script, *flags],
    capture_output=True,
    check=False,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  table = [line for line in done.stdout.splitlines() if line[:1] == '|']
  measured = [line for line in table if re.search(r'\d\.\d{3} ?(\(|\|)', line)]
  assert len(measured) == rows, done.stdout


def test_tables_go_to_their_places():
  page = (BENCHMARKS.parent / 'docs' / 'performance.md').read_text()
  text = (BENCHMARKS / 'run.py').read_text()
  names = re.findall(r"^  '(\w+)': ", text, re.MULTILINE)
  assert len(names) >= 8
  for name in names:
    assert page.count(f'<!-- {name} -->') == 1, name
    assert page.count(f'<!-- end of {name} -->') == 1, name
