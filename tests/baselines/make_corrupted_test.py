"""The command that makes corrupted test sets."""

import os
import pathlib
import subprocess
import sys

from uncertainty_distill import data
from uncertainty_distill.data import corruptions

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]


def make(*flags):
  command = ROOT / 'baselines' / 'cifar' / 'make_corrupted.py'
  return subprocess.run(
    [sys.executable, str(command), *flags],
    check=False,
    capture_output=True,
    text=True,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )


def test_command_makes_what_is_asked_for(tmp_path):
  directory = tmp_path / 'digits_c'
  done = make(
    '--dataset=digits',
    f'--output_dir={directory}',
    '--processes=1',
    '--corruptions=contrast,contrast,frost',
    '--frost=photographs',
    '--seed=3',
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.endswith(f' {directory}\n')
  assert '10000/10000' in done.stderr  # The progress bar.
  images = np.load(directory / 'contrast.npy')
  shift = corruptions.Shift(corruptions.Corruption.CONTRAST, 5)
  clean = data.open_dataset('digits').test.images
  np.testing.assert_array_equal(
    images[4000:], corruptions.corrupt(clean, shift)
  )
  images = np.load(directory / 'frost.npy', mmap_mode='r')
  shift = corruptions.Shift(corruptions.Corruption.FROST, 1)
  np.testing.assert_array_equal(
    images[:1000], corruptions.corrupt(clean, shift, 3, frost='photographs')
  )


def test_a_mistake_is_one_line(tmp_path):
  done = make(
    '--dataset=digits', f'--output_dir={tmp_path}', '--corruptions=frots'
  )
  assert done.returncode == 2 and not os.listdir(tmp_path)
  last_line = done.stderr.strip().splitlines()[-1]
  assert last_line.startswith('error: --corruptions ')
  assert "'frots'" in last_line and "'frost'" in last_line
  assert 'Traceback' not in done.stderr
