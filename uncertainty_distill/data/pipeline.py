"""Batches as `tf.data`, for the replicas of one worker.

All functions take a `tf.distribute.InputContext`, or None for a single replica.
Their datasets yield the batch of one replica at a time, as
`strategy.distribute_datasets_from_function` expects. The datasets need no
Python once they are built: on a TPU slice, the other hosts run only
TensorFlow's server, and each host reads the images of its own replicas.
`evaluation.image_sets` provides images that only Python can make, such as
corrupted images. Both modules take the rows and the padding of a batch from
`distribution.sharding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uncertainty_distill.data.image_source import ImageSource
from uncertainty_distill.data.random_streams import (
  Stream,
  shuffled,
  stream_seed,
)
from uncertainty_distill.data.views import Views
from uncertainty_distill.distribution import sharding
from uncertainty_distill.losses import LEVEL_PARTS

import numpy as np
import tensorflow as tf

_ReadRows = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# The number of batches to prepare ahead.
_PREFETCHED = 4
# Nothing here needs AutoGraph, which would delay the first step.
_no_autograph = tf.autograph.experimental.do_not_convert


def training_batches(
  views: Views,
  global_batch_size: int,
  *,
  seed: int,
  num_views: int = 0,
  teacher_logits: _ReadRows | None = None,
  num_unlabeled: int = 0,
  teacher_images: _ReadRows | None = None,
  start_step: int = 0,
  context: tf.distribute.InputContext | None = None,
  num_groups: int = 1,
) -> tf.data.Dataset:
  """Returns endless augmented batches, from step `start_step` on.

  Each epoch is a new permutation. Examples at its end that do not fill a batch
  are left out of that epoch. The batches are a pure function of the arguments:
  the epoch determines the permutation and the view, and the step in the epoch
  determines the examples.

  Args:
    views: Views of the N training examples.
    global_batch_size: Distinct examples in a step, over all replicas.
    seed: The seed of the permutations.
    num_views: Epoch n trains on view n mod num_views; 0 for a new one in each
      epoch.
    teacher_logits: A function from the number of a view, int64, and rows
      int32 [b] to a teacher's logits for them, float16 [b, M, K]. It is called
      in the graph.
    num_unlabeled: The number of examples without labels in a step. An epoch is
      a permutation of the examples with labels. The examples without labels
      come in one permutation after the other, across the ends of epochs.
    teacher_images: A function like `teacher_logits` that returns the images
      that a teacher has made for a view, uint16 [b, H, W, C] in units of
      1 / LEVEL_PARTS of a gray level. They replace the images of the source.
    start_step: The global step to begin with.
    context: The replicas to feed.
    num_groups: See `sharding.shard_rows`.

  Returns:
    Batches of `images` uint8 [b, H, W, C], or float32 for a teacher's images,
    `labels` int32 [b] and, if asked for, `clean_images` uint8 [b, H, W, C],
    `draws` float32 [b, K + 2] from 0 to 1 and `teacher_logits` float16
    [b, M, K]. b is the batch size of one replica.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  labels = views.source.labels
  num_labeled = int(np.count_nonzero(labels >= 0))
  examples = num_labeled, len(labels) - num_labeled
  batch = global_batch_size - num_unlabeled, num_unlabeled
  # `shard_rows` refuses batches of less than one example.
  steps = num_labeled // max(batch[0], 1)
  indices, _ = sharding.shard_rows(
    steps * global_batch_size, global_batch_size, context, num_groups
  )

  def epoch_parts(epoch):
    rows = tf.gather(_epoch_order(examples, batch, seed, epoch), indices)
    view = epoch % num_views if num_views else epoch
    number = tf.fill([len(indices)], view)
    parts = {'view': views.parts(view, rows), 'number': number}
    return tf.data.Dataset.from_tensor_slices(parts)  # pyright: ignore[reportArgumentType]

  epochs = tf.data.Dataset.range(start_step // steps, tf.int64.max)
  parts = epochs.flat_map(_no_autograph(epoch_parts))
  # Row numbers are cheap to skip; images are read after this.
  parts = parts.skip((start_step % steps) * (len(indices) // steps))
  return _read(parts, views, teacher_logits, teacher_images)


def _epoch_order(
  examples: tuple[int, int], batch: tuple[int, int], seed: int, epoch: tf.Tensor
) -> tf.Tensor:
  """Returns the rows of the batches of an epoch, one batch after the other.

  Args:
    examples: The numbers of examples with labels and without labels.
    batch: The same two numbers for a step.
    seed: The seed of the orders.
    epoch: The number of the epoch, int64.
  """
  (num_labeled, num_others), (labeled, others) = examples, batch
  order = shuffled(num_labeled, stream_seed(seed, epoch, Stream.ORDER))
  if not others:
    return order
  steps = num_labeled // labeled
  rest = _part_of_permutations(num_others, seed, epoch, steps * others)
  return _mixed(
    order[: steps * labeled], num_labeled + rest, labeled + others, others
  )


def _part_of_permutations(
  num_examples: int, seed: int, epoch: tf.Tensor, count: int
) -> tf.Tensor:
  """Returns an epoch's part of an endless series of permutations.

  Args:
    num_examples: The number of examples N in a permutation.
    seed: The seed of the permutations.
    epoch: The number of the epoch, int64.
    count: The number of examples that an epoch takes.

  Returns:
    int32 [count], from 0 to N - 1.
  """
  first = epoch * count
  # As many as a part can touch that begins at the end of a permutation.
  orders = [
    shuffled(
      num_examples,
      stream_seed(seed, first // num_examples + number, Stream.UNLABELED_ORDER),
    )
    for number in range((count - 2) // num_examples + 2)
  ]
  return tf.slice(
    tf.concat(orders, 0), [tf.math.floormod(first, num_examples)], [count]
  )


def _mixed(
  labeled: tf.Tensor, unlabeled: tf.Tensor, batch_size: int, num_unlabeled: int
) -> tf.Tensor:
  """Mixes examples with and without labels evenly in each batch.

  So replicas and members that divide a batch get the same share of each kind.

  Args:
    labeled: The rows with labels of all batches, one batch after the other.
    unlabeled: The rows without labels of all batches, in the same way.
    batch_size: The number of examples in a batch.
    num_unlabeled: The number of examples without labels in a batch.

  Returns:
    The rows of all batches, one batch after the other.
  """
  num_labeled = batch_size - num_unlabeled
  table = tf.concat(
    [
      tf.reshape(labeled, [-1, num_labeled]),
      tf.reshape(unlabeled, [-1, num_unlabeled]),
    ],
    axis=1,
  )
  # The number of images without labels before each place of a batch.
  before = np.arange(batch_size + 1) * num_unlabeled // batch_size
  places = np.arange(batch_size)
  columns = np.where(
    np.diff(before), num_labeled + before[:-1], places - before[:-1]
  )
  return tf.reshape(tf.gather(table, columns, axis=1), [-1])


def view_batches(
  views: Views,
  numbers: Sequence[int],
  global_batch_size: int,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
  """Returns whole views as training shows them, in the order of the examples.

  Args:
    views: Views of the N training examples.
    numbers: The numbers of the views to return, one after the other.
    global_batch_size: Examples in a step, over all replicas. The last batch of
      a view is filled up with its last example.
    context: The replicas to feed.

  Returns:
    Batches of `images` uint8 [b, H, W, C], `labels` int32 [b] and, if asked
    for, `draws`. The batches of all replicas, side by side, are the next
    examples of a view.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  size = len(views.source)
  rows, _ = sharding.shard_rows(size, global_batch_size, context)

  def view_parts(view):
    parts = {'view': views.parts(view, rows)}
    return tf.data.Dataset.from_tensor_slices(parts)  # pyright: ignore[reportArgumentType]

  each = tf.data.Dataset.from_tensor_slices(tf.constant(numbers, tf.int64))
  return _read(each.flat_map(_no_autograph(view_parts)), views)


def evaluation_batches(
  source: ImageSource,
  global_batch_size: int,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
  """Returns every example once, padded to whole batches, with a mask.

  Args:
    source: The examples to score.
    global_batch_size: Examples in a step, over all replicas.
    context: The replicas to feed.

  Returns:
    Batches of `images` uint8 [b, H, W, C], `labels` int32 [b] and `mask` bool
    [b], False where an example only fills up the last batch.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  rows, mask = sharding.shard_rows(len(source), global_batch_size, context)
  parts: Any = {'view': {'rows': rows}, 'mask': mask}
  parts = tf.data.Dataset.from_tensor_slices(parts)
  return _read(parts, Views(source))


def _read(
  parts: tf.data.Dataset,
  views: Views,
  teacher_logits: _ReadRows | None = None,
  teacher_images: _ReadRows | None = None,
) -> tf.data.Dataset:
  """Reads the images and labels of batches, and a teacher's logits for them.

  Args:
    parts: Batches of `view`, which is what `views` needs to know, of `number`,
      which is the number of the view, and of anything else.
    views: The views that the batches belong to.
    teacher_logits: See `training_batches`.
    teacher_images: See `training_batches`.

  Returns:
    Batches of what `views` reads, `labels`, `teacher_logits` if asked for, and
    the rest of the parts.
  """
  labels = tf.constant(views.source.labels)

  def read(parts: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    others, images = dict(parts), None
    view, number = others.pop('view'), others.pop('number', None)
    rows = view['rows']
    if teacher_images:
      images = tf.cast(teacher_images(number, rows), tf.float32) / LEVEL_PARTS
    if teacher_logits:
      others['teacher_logits'] = teacher_logits(number, rows)
    return {
      **views.read(view, images),
      'labels': tf.gather(labels, rows),
      **others,
    }

  return (
    parts.map(
      _no_autograph(read),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    )
    .prefetch(_PREFETCHED)
    .with_options(sharding.options())
  )
