"""Tests of public datasets and corrupted images."""

import uncertainty_distill as ud
from uncertainty_distill import corrupt
from uncertainty_distill.data import corrupted_sets, corruptions

import numpy as np
import pytest
import refusals


def test_corrupted_images_are_those_of_the_evaluation():
  digits = ud.load_dataset('digits')
  assert digits.images.shape == (1000, 16, 16, 3)
  shift = corruptions.Shift(corruptions.Corruption.GAUSSIAN_NOISE, 3)
  want = corrupted_sets.FormulaSet(digits).images(shift, np.arange(20))
  # Severities are often drawn from a NumPy array.
  got = corrupt(digits.images[:20], 'gaussian_noise', np.int64(3))
  np.testing.assert_array_equal(got, want)
  other = corrupt(digits.images[:20], 'gaussian_noise', 3, seed=1)
  assert (other != want).any()


def test_a_dataset_has_two_splits():
  train = ud.load_dataset('digits', 'train')
  assert train.images.shape == (797, 16, 16, 3) and len(train.labels) == 797
  with refusals.refused('split', 'valid', 'train'):
    ud.load_dataset('digits', 'valid')


@pytest.mark.parametrize(
  'corruption, severity, name',
  [
    ('gausian_noise', 3, 'corruption'),
    ('fog', 6, 'severity'),
    ('fog', 2.5, 'severity'),
    ('fog', True, 'severity'),
  ],
)
def test_refuses_other_corruptions(corruption, severity, name):
  images = np.zeros([1, 16, 16, 3], np.uint8)
  with refusals.refused(name, corruption if name == 'corruption' else severity):
    corrupt(images, corruption, severity)
