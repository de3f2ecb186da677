"""Tests of the command that makes corrupted test sets."""

from uncertainty_distill import data
from uncertainty_distill.data import corruptions

import numpy as np
import running


def test_command_makes_what_is_asked_for(tmp_path):
  directory = tmp_path / 'digits_c'
  done = running.succeed(
    'make_corrupted',
    '--dataset=digits',
    f'--output_dir={directory}',
    '--processes=1',
    '--corruptions=contrast,contrast,frost',
    '--frost=photographs',
    '--seed=3',
  )
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
