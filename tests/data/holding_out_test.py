"""Tests of which training examples are held out."""

import dataclasses

from uncertainty_distill import data

import numpy as np


def test_parts_are_those_of_the_permutation_in_order():
  dataset = data.load_dataset('digits', 'train').take(10)
  numbered = dataclasses.replace(dataset, labels=np.arange(10))
  training, held_out = data.hold_out(numbered, 3)
  # RandomState(0).permutation(10) is 2, 8, 4, 9, 1, 6, 7, 3, 0, 5.
  assert list(held_out.labels) == [2, 4, 8]
  assert list(training.labels) == [0, 1, 3, 5, 6, 7, 9]
  for part in training, held_out:
    np.testing.assert_array_equal(part.images, dataset.images[part.labels])
    assert part.spec == dataset.spec


def test_fewer_are_a_part_of_more():
  dataset = data.load_dataset('digits', 'train')
  numbered = dataclasses.replace(dataset, labels=np.arange(797))
  few, many = (set(data.hold_out(numbered, n)[1].labels) for n in (40, 80))
  assert (len(few), len(many)) == (40, 80) and few < many
  # A class is not held out as a whole: the digits are about as frequent.
  counts = np.bincount(data.hold_out(dataset, 80)[1].labels, minlength=10)
  assert counts.min() >= 2 and counts.max() <= 16


def test_without_a_share_nothing_is_held_out():
  dataset = data.load_dataset('digits', 'train')
  training, held_out = data.hold_out(dataset, 0)
  assert training is dataset and held_out.images.shape == (0, 16, 16, 3)
