"""Tests of tiling a batch for the members and splitting it again."""

from uncertainty_distill import layers
from uncertainty_distill.layers import members

import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize('ensemble_size', [1, 3])
def test_tiling_is_member_major_and_splitting_undoes_it(ensemble_size):
  rows = tf.reshape(tf.range(2.0 * 5), [2, 5])
  tiled = layers.tile_members(rows, ensemble_size)
  want = np.concatenate([rows] * ensemble_size)
  np.testing.assert_array_equal(tiled, want)
  split = layers.split_members(tiled, ensemble_size)
  assert split.shape == (ensemble_size, 2, 5)
  np.testing.assert_array_equal(split, [rows] * ensemble_size)


def test_splitting_is_member_major():
  rows = tf.reshape(tf.range(6), [6, 1])
  split = layers.split_members(rows, 2)
  np.testing.assert_array_equal(split, [[[0], [1], [2]], [[3], [4], [5]]])


def test_images_of_an_unknown_batch():
  @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 3], tf.uint8)])
  def tile(images):
    tiled = layers.tile_members(images, 2)
    logits = layers.split_members(tf.reshape(tiled, [-1, 12]), 2)
    assert tiled.shape.as_list() == [None, 2, 2, 3]
    assert logits.shape.as_list() == [2, None, 12]
    return tiled, logits

  images = np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3)
  tiled, logits = tile(images)
  np.testing.assert_array_equal(tiled, np.concatenate([images, images]))
  np.testing.assert_array_equal(logits, [images.reshape(3, 12)] * 2)
  assert tile(images[:0])[1].shape == (2, 0, 12)


def test_layers_are_the_functions_and_split_in_float32():
  rows = tf.cast(tf.reshape(tf.range(8), [4, 2]), tf.bfloat16)
  tile = members.TileMembers(2, dtype='mixed_bfloat16')
  tiled = tile(rows)
  assert tiled.dtype == tf.bfloat16
  np.testing.assert_array_equal(tiled[4:], rows)
  split = members.SplitMembers(2, dtype='mixed_bfloat16')(tiled)
  assert split.dtype == tf.float32
  np.testing.assert_array_equal(split[1], np.arange(8).reshape(4, 2))


@pytest.mark.parametrize('kind', [members.TileMembers, members.SplitMembers])
def test_layers_are_read_back(kind):
  layer = kind(3, name='mine')
  twin = kind.from_config(layer.get_config())
  assert twin.ensemble_size == 3 and twin.get_config() == layer.get_config()


@pytest.mark.parametrize(
  'each, expected',
  [
    (1, [[0, 1], [2, 3], [4, 5]]),
    (2, [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 0, 1]]),
    (3, [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 0, 1], [4, 5, 0, 1, 2, 3]]),
  ],
)
def test_examples_are_dealt_out_evenly(each, expected):
  rows = layers.member_rows(6, 3, each)
  np.testing.assert_array_equal(rows, expected)


def test_members_with_examples_of_their_own_are_not_tiled():
  tile = layers.TileMembers(3)
  rows = tf.reshape(tf.range(6), [6, 1])
  with layers.own_examples():
    np.testing.assert_array_equal(tile(rows), rows)
  assert tile(rows).shape == (18, 1)
