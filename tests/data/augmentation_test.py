"""Tests of crops and flips: by hand, by a slow reference, by counting."""

from uncertainty_distill import data

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats


def _slow(images, table, padding):
  """Augments one image after the other."""
  height, width = images.shape[1:3]
  augmented = []
  for image, (row, column, flipped) in zip(images, table):
    sides = [(padding, padding), (padding, padding), (0, 0)]
    crop = np.pad(image, sides)[row : row + height, column : column + width]
    augmented.append(crop[:, ::-1] if flipped else crop)
  return np.stack(augmented)


@pytest.mark.parametrize(
  'row, column, flipped, want',
  [
    (1, 1, 0, [[1, 2, 3], [4, 5, 6]]),
    (1, 1, 1, [[3, 2, 1], [6, 5, 4]]),
    (0, 0, 0, [[0, 0, 0], [0, 1, 2]]),
    (2, 0, 0, [[0, 4, 5], [0, 0, 0]]),
    (0, 2, 0, [[0, 0, 0], [2, 3, 0]]),
    # The crop comes before the flip.
    (1, 2, 1, [[0, 3, 2], [0, 6, 5]]),
    (2, 0, 1, [[5, 4, 0], [0, 0, 0]]),
  ],
)
def test_by_hand(row, column, flipped, want):
  image = tf.constant([[[[1], [2], [3]], [[4], [5], [6]]]], tf.uint8)
  augmented = data.augment(image, tf.constant([[row, column, flipped]]), 1)
  assert augmented.dtype == tf.uint8 and augmented.shape == (1, 2, 3, 1)
  np.testing.assert_array_equal(augmented[0, :, :, 0], want)


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('padding, flip', [(2, True), (3, False), (0, True)])
def test_equals_a_slow_reference(padding, flip, jit):
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
  table = data.augmentation_table(50, 7, 3, padding, flip)
  augment = tf.function(data.augment, jit_compile=jit)
  np.testing.assert_array_equal(
    augment(images, table, padding), _slow(images, table.numpy(), padding)
  )


def _table(num_examples=1000, seed=1, view=2, padding=2, flip=True):
  return data.augmentation_table(
    num_examples, seed, view, padding, flip
  ).numpy()


def test_table_is_a_pure_function():
  first = _table()
  assert first.shape == (1000, 3) and first.dtype == np.int32
  tf.random.set_seed(5)
  traced = tf.function(data.augmentation_table)
  for view in 2, tf.constant(2), tf.constant(2, tf.int64):
    np.testing.assert_array_equal(_table(view=view), first)
    np.testing.assert_array_equal(traced(1000, 1, view, 2, True), first)


@pytest.mark.parametrize(
  'other', [{'seed': 2}, {'view': 3}, {'seed': 2, 'view': 1}, {'seed': -1}]
)
def test_another_seed_or_view_is_independent(other):
  first, second = _table(), _table(**other)
  # By chance, 1/5, 1/5 and 1/2 of the examples are equal.
  same = (first == second).mean(0)
  np.testing.assert_allclose(same, [0.2, 0.2, 0.5], atol=0.06)


@pytest.mark.parametrize('padding', [1, 2, 4])
def test_draws_are_uniform_and_independent(padding):
  table = _table(20_000, padding=padding)
  sides = 2 * padding + 1
  counts = np.zeros([sides, sides, 2])
  np.add.at(counts, tuple(table.T), 1)
  # Every offset occurs, and every combination equally often.
  assert counts.sum() == 20_000 and counts.min() > 0
  assert stats.chisquare(counts, axis=None).pvalue > 1e-3


def test_neighbours_are_independent():
  table = _table(20_000).astype(float)
  for column in table.T:
    assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 0.03


def test_what_is_not_asked_for_is_left_out():
  table = _table(flip=False)
  assert not table[:, 2].any() and table[:, :2].max() == 4
  table = _table(padding=0)
  assert not table[:, :2].any() and 0.4 < table[:, 2].mean() < 0.6
  # Crops do not depend on flips, nor flips on crops.
  np.testing.assert_array_equal(table[:, 2], _table()[:, 2])
  np.testing.assert_array_equal(_table(flip=False)[:, :2], _table()[:, :2])
