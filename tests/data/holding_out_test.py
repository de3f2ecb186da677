"""Tests of which training examples are held out."""

from uncertainty_distill import configs, data

import numpy as np
import tiny_dataset


def test_parts_are_those_of_the_permutation_in_order():
  source = tiny_dataset.numbered(10)
  training, held_out = source.hold_out(3)
  # RandomState(0).permutation(10) is 2, 8, 4, 9, 1, 6, 7, 3, 0, 5.
  assert list(held_out.labels) == [2, 4, 8]
  assert list(training.labels) == [0, 1, 3, 5, 6, 7, 9]
  for part in training, held_out:
    np.testing.assert_array_equal(part.images, source.images[part.labels])
    assert part.spec == source.spec


def test_fewer_are_a_part_of_more():
  digits = data.open_dataset('digits').train
  few, many = (set(digits.hold_out(n)[1].rows) for n in (40, 80))
  assert (len(few), len(many)) == (40, 80) and few < many
  # No class is held out as a whole: all digits are about equally frequent.
  counts = np.bincount(digits.hold_out(80)[1].labels, minlength=10)
  assert counts.min() >= 2 and counts.max() <= 16


def test_nothing_is_held_out_by_default():
  config = configs.TrainDataConfig(name='digits')
  dataset = data.open_configured(config)
  training, held_out = data.open_training(dataset, config)
  np.testing.assert_array_equal(training.rows, np.arange(797))
  assert held_out.images.shape == (0, 16, 16, 3)
