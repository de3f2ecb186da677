"""Tests of which images are taken as out of distribution."""

from uncertainty_distill import configs, errors
from uncertainty_distill.training import checks

import numpy as np
import pytest


def _config(overrides=''):
  return configs.load_config('digits_wrn10_1', (), overrides)


def test_all_classes_leave_none():
  assert checks.load_foreign(_config()) is None


def test_the_classes_left_out_are_foreign():
  config = _config(
    'task.train_data.classes=[0,1,2],task.validation_data.num_examples=50'
  )
  foreign = checks.load_foreign(config)
  assert foreign.images.shape == (50, 16, 16, 3)
  assert set(foreign.labels) == set(range(3, 10))


def test_another_dataset_must_have_images_of_the_same_shape(tmp_path):
  def write(name, side):
    images = np.zeros([4, side, side, 3], np.uint8)
    np.savez(
      tmp_path / name,
      train_images=images,
      train_labels=[0, 1, 0, 1],
      test_images=images,
      test_labels=[1, 0, 1, 1],
    )
    return _config(f'evaluation.out_of_distribution={tmp_path / name}')

  assert len(checks.load_foreign(write('same.npz', 16)).labels) == 4
  with pytest.raises(errors.InputError, match='out_of_distribution'):
    checks.load_foreign(write('other.npz', 8))
