"""Where a batch becomes members and members become an axis, nowhere else.

Edward2's layers read the batch member by member: rows 0..B-1 belong to the
first member, rows B..2B-1 to the second, and so on.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras


def tile_members(images: tf.Tensor, ensemble_size: int) -> tf.Tensor:
  """Repeats a batch for each member.

  Args:
    images: [B, ...].
    ensemble_size: E.

  Returns:
    [E * B, ...], member-major.
  """
  if ensemble_size == 1:
    return images
  repeats = [ensemble_size] + [1] * (images.shape.rank - 1)
  return tf.tile(images, repeats)


def split_members(rows: tf.Tensor, ensemble_size: int) -> tf.Tensor:
  """Gives the members an axis: [E * B, ...] -> [E, B, ...]."""
  return tf.reshape(rows, [ensemble_size, -1, *_inner(rows, 1)])


def join_members(values: tf.Tensor) -> tf.Tensor:
  """Undoes `split_members`: [E, B, ...] -> [E * B, ...]."""
  return tf.reshape(values, [-1, *_inner(values, 2)])


def _inner(values, first):
  """Returns the sizes of the axes from `first` on, as integers if they can."""
  known = values.shape[first:]
  if known.is_fully_defined():
    return list(known)
  return tf.unstack(tf.shape(values)[first:], len(known))


class TileMembers(tf_keras.layers.Layer):
  """`tile_members` as a layer of a functional model."""

  def __init__(self, ensemble_size: int, **kwargs):
    super().__init__(**kwargs)
    self.ensemble_size = ensemble_size

  def call(self, images):
    return tile_members(images, self.ensemble_size)

  def get_config(self):
    return {**super().get_config(), 'ensemble_size': self.ensemble_size}


class SplitMembers(tf_keras.layers.Layer):
  """`split_members` as a layer; the logits leave it in float32.

  Softmax, losses and metrics need float32 also where the network computes in
  bfloat16.
  """

  def __init__(self, ensemble_size: int, **kwargs):
    super().__init__(**{**kwargs, 'dtype': 'float32'})
    self.ensemble_size = ensemble_size

  def call(self, logits):
    return split_members(logits, self.ensemble_size)

  def get_config(self):
    return {**super().get_config(), 'ensemble_size': self.ensemble_size}
