"""Random crops and flips, as a pure function of (seed, view, example).

A view is one augmentation of the whole training set. Epoch n trains on view n,
or on view n mod V if there are V views. This makes it possible to repeat a run,
to resume it at any step, and to store a teacher's logits for exactly the images
that a student sees.
"""

from __future__ import annotations

from uncertainty_distill.data.random_streams import Stream, stream_seed

import tensorflow as tf

# Raise this when the same arguments begin to give other images, so that
# nothing stored for the old images is used with the new ones.
AUGMENTATION_VERSION = 1


def augmentation_table(
  num_examples: int, seed: int, view: tf.Tensor, padding: int, flip: bool
) -> tf.Tensor:
  """Draws the crop and the flip of every training example in one view.

  Args:
    num_examples: The number of examples N.
    seed: The seed of the views.
    view: The number of the view, a scalar integer.
    padding: Pixels added on each side before cropping.
    flip: Whether half of the images are mirrored.

  Returns:
    int32 [N, 3]: the row and column offsets of each example, in 0..2*padding,
    and whether it is flipped, 0 or 1.
  """
  offsets = tf.random.stateless_uniform(
    [num_examples, 2],
    stream_seed(seed, view, Stream.CROP),
    maxval=2 * padding + 1,
    dtype=tf.int32,
  )
  flips = tf.random.stateless_uniform(
    [num_examples, 1],
    stream_seed(seed, view, Stream.FLIP),
    maxval=2 if flip else 1,
    dtype=tf.int32,
  )
  return tf.concat([offsets, flips], axis=1)


def augment(images: tf.Tensor, table: tf.Tensor, padding: int) -> tf.Tensor:
  """Pads images with black, crops them to their old size, and flips some.

  Args:
    images: [B, H, W, C].
    table: The rows of `augmentation_table` for these examples, int32 [B, 3].
    padding: The padding with which the table was drawn.

  Returns:
    [B, H, W, C], of the same type as `images`.
  """
  height, width = images.shape[1:3]
  sides = [padding, padding]
  images = tf.pad(images, [[0, 0], sides, sides, [0, 0]])
  columns = tf.range(width)
  # Two gathers cut all crops of the batch at once. A flip reads backwards.
  columns = tf.where(table[:, 2:] == 1, columns[::-1], columns)
  images = tf.gather(
    images, table[:, :1] + tf.range(height), axis=1, batch_dims=1
  )
  return tf.gather(images, table[:, 1:2] + columns, axis=2, batch_dims=1)
