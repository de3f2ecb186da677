"""The independent random numbers that the images of a view are drawn from.

Every draw is a pure function of a seed, a view or an epoch, and its purpose.
Two draws for one purpose would be correlated, so all purposes are listed here.
"""

from __future__ import annotations

import enum

import tensorflow as tf


class Stream(enum.Enum):
  """What random numbers are for.

  A number must never change: it would change the runs and the stored logits of
  earlier versions.
  """

  CROP = 0
  FLIP = 1
  ORDER = 2
  DISTORTION = 3
  UNLABELED_ORDER = 4
  MIXUP_PARTNER = 5
  MIXUP_WEIGHT = 6
  TEACHER_VIEW = 7


def stream_seed(
  seed: int | tf.Tensor, index: tf.Tensor, stream: Stream
) -> tf.Tensor:
  """Returns the seed of one stream in one view or epoch, int64 [2].

  Args:
    seed: The seed of the run's views or orders.
    index: The number of the view or epoch, a scalar integer.
    stream: What the random numbers are for.
  """
  key = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
  return split(key, stream.value)


def example_seeds(
  num_examples: int, seed: int, view: tf.Tensor, stream: Stream
) -> tf.Tensor:
  """Returns a seed for each example in a view, int32 [N, 2].

  Args:
    num_examples: The number of examples N.
    seed: The seed of the views.
    view: The number of the view, a scalar integer.
    stream: What the random numbers are for.
  """
  return tf.random.stateless_uniform(
    [num_examples, 2],
    stream_seed(seed, view, stream),
    maxval=2**31 - 1,
    dtype=tf.int32,
  )


def split(seed: tf.Tensor, number: int) -> tf.Tensor:
  """Returns a seed [2] that differs from those of other numbers."""
  return tf.random.experimental.stateless_fold_in(seed, number)  # pyright: ignore[reportAttributeAccessIssue]


def shuffled(num_examples: int, seed: tf.Tensor) -> tf.Tensor:
  """Returns the numbers below `num_examples` in a random order, int32 [N]."""
  return tf.random.experimental.stateless_shuffle(  # pyright: ignore[reportAttributeAccessIssue]
    tf.range(num_examples), seed
  )
