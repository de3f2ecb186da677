"""Tests of public datasets and corrupted images."""

import uncertainty_distill as ud
from uncertainty_distill import corrupt
from uncertainty_distill.data import corrupted_sets, corruptions

import numpy as np
import pytest


def test_corrupted_images_are_those_of_the_evaluation():
  digits = ud.load_dataset('digits')
  assert digits.images.shape == (1000, 16, 16, 3)
  shift = corruptions.Shift(corruptions.Corruption.GAUSSIAN_NOISE, 3)
  want = corrupted_sets.FormulaSet(digits).images(shift, np.arange(20))
  # Severities are often drawn from an array of NumPy's.
  got = corrupt(digits.images[:20], 'gaussian_noise', np.int64(3))
  np.testing.assert_array_equal(got, want)
  other = corrupt(digits.images[:20], 'gaussian_noise', 3, seed=1)
  assert (other != want).any()


def test_a_dataset_has_two_splits():
  train = ud.load_dataset('digits', 'train')
  assert train.images.shape == (797, 16, 16, 3) and len(train.labels) == 797
  with pytest.raises(ud.InputError, match="split: got 'valid', wants .*train"):
    ud.load_dataset('digits', 'valid')


@pytest.mark.parametrize(
  'corruption, severity, message',
  [
    ('gausian_noise', 3, "did you mean 'gaussian_noise'"),
    ('fog', 6, 'severity: got 6, wants an integer from 1 to 5 for fog'),
    ('fog', 2.5, 'severity: got 2.5'),
    ('fog', True, 'severity: got True'),
  ],
)
def test_refuses_other_corruptions(corruption, severity, message):
  images = np.zeros([1, 16, 16, 3], np.uint8)
  with pytest.raises(ud.InputError, match=message):
    corrupt(images, corruption, severity)
