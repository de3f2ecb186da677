"""Batches as tf.data, for one worker's replicas: to train on, to evaluate.

All take a `tf.distribute.InputContext`, or None where there is one replica,
and yield one replica's batch at a time: that is what
`strategy.distribute_datasets_from_function` wants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uncertainty_distill.data.augmentation import augment, augmentation_table
from uncertainty_distill.data.image_source import ImageDataset
from uncertainty_distill.distribution import sharding as replicas_lib
from uncertainty_distill.errors import InputError

import tensorflow as tf

# Batches that are ready before they are asked for.
_AHEAD = 4
# Nothing here needs AutoGraph, which would delay the first step.
_as_it_is = tf.autograph.experimental.do_not_convert


def training_batches(
  dataset: ImageDataset,
  global_batch_size: int,
  *,
  seed: int,
  padding: int,
  flip: bool,
  views: int = 0,
  augmentation_seed: int | None = None,
  teacher_logits: Callable[[tf.Tensor], tf.Tensor] | None = None,
  start_step: int = 0,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
  """Returns endless augmented batches, those of step `start_step` first.

  Each epoch is a new permutation; what does not fill a batch is left out of
  that epoch. The batches are a pure function of the arguments: the epoch picks
  the permutation and the view, the step in it picks the examples.

  Args:
    dataset: The training examples.
    global_batch_size: Distinct examples in a step, over all replicas.
    seed: Of the permutations.
    padding: Pixels on each side before random crops; 0 for none.
    flip: Whether to mirror half of the images.
    views: Epoch n trains on view n mod views; 0 for a new one in each epoch.
    augmentation_seed: Of the views; None for `seed`.
    teacher_logits: From a view's number, int64, to what a teacher says of it,
      float16 [N, M, K], the examples in the dataset's order. It is called in
      the graph, once in an epoch.
    start_step: The global step to begin with.
    context: Which replicas to feed.

  Returns:
    Dataset of `images` uint8 [b, H, W, C], `labels` int32 [b] and, where they
    are given, `teacher_logits` float16 [b, M, K], b being the batch of one
    replica.

  Raises:
    InputError: If the replicas do not divide the batch, or if there are fewer
      examples than a batch.
  """
  num_examples = len(dataset.labels)
  if num_examples < global_batch_size:
    raise InputError(
      'global_batch_size',
      global_batch_size,
      f'at most the {num_examples} training examples',
    )
  places = replicas_lib.places_in_order(
    num_examples, global_batch_size, context, drop_remainder=True
  )
  steps = num_examples // global_batch_size
  view_seed = seed if augmentation_seed is None else augmentation_seed

  def parts_of_epoch(epoch):
    rows = tf.gather(_permutation(num_examples, seed, epoch), places)
    view = epoch % views if views else epoch
    table = augmentation_table(num_examples, view_seed, view, padding, flip)
    parts = {'rows': rows, 'table': tf.gather(table, rows)}
    if teacher_logits:
      # A view's logits are small beside the images, which are in memory: read
      # in one piece they cost a step nothing, and need no Python to be read.
      parts['teacher_logits'] = tf.gather(teacher_logits(view), rows)
    return tf.data.Dataset.from_tensor_slices(parts)

  epochs = tf.data.Dataset.range(start_step // steps, tf.int64.max)
  return _read(
    # Indices are cheap to skip; images are read behind this.
    epochs.flat_map(_as_it_is(parts_of_epoch)).skip(
      (start_step % steps) * (len(places) // steps)
    ),
    _reader(dataset, padding, flip),
  )


def _permutation(num_examples: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
  """Returns the order in which an epoch takes the examples, int32 [N]."""
  key = tf.stack([tf.constant(seed, tf.int64), epoch])
  return tf.random.experimental.stateless_shuffle(
    tf.range(num_examples), tf.random.experimental.stateless_fold_in(key, 2)
  )


def _reader(dataset: ImageDataset, padding: int, flip: bool):
  """Returns what reads and augments the examples of a batch."""
  images, labels = tf.constant(dataset.images), tf.constant(dataset.labels)

  def read(parts):
    rows, table = parts.pop('rows'), parts.pop('table')
    batch = tf.gather(images, rows)
    if padding or flip:
      batch = augment(batch, table, padding)
    return {'images': batch, 'labels': tf.gather(labels, rows), **parts}

  return read


def view_batches(
  dataset: ImageDataset,
  views: Sequence[int],
  global_batch_size: int,
  *,
  seed: int,
  padding: int,
  flip: bool,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
  """Returns whole views, as training shows them, but in the dataset's order.

  Args:
    dataset: The training examples.
    views: Their numbers, one after the other.
    global_batch_size: Examples in a step over all replicas. A view's last batch
      is filled up by its last example.
    seed: Of the views.
    padding: Pixels on each side before random crops; 0 for none.
    flip: Whether to mirror half of the images.
    context: Which replicas to feed.

  Returns:
    Dataset of `images` uint8 [b, H, W, C] and `labels` int32 [b]. The replicas'
    batches side by side are the next examples of a view.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  num_examples = len(dataset.labels)
  places = replicas_lib.places_in_order(
    num_examples, global_batch_size, context
  )
  rows = tf.minimum(places, num_examples - 1)

  def parts_of_view(view):
    table = augmentation_table(num_examples, seed, view, padding, flip)
    return tf.data.Dataset.from_tensor_slices(
      {'rows': rows, 'table': tf.gather(table, rows)}
    )

  numbers = tf.data.Dataset.from_tensor_slices(tf.constant(views, tf.int64))
  return _read(
    numbers.flat_map(_as_it_is(parts_of_view)), _reader(dataset, padding, flip)
  )


def evaluation_batches(
  dataset: ImageDataset,
  global_batch_size: int,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
  """Returns every example once, padded to whole batches, with a mask.

  Args:
    dataset: The examples to score.
    global_batch_size: Over all replicas.
    context: Which replicas to feed.

  Returns:
    Dataset of `images` uint8 [b, H, W, C], `labels` int32 [b] and `mask` bool
    [b], False where an example only fills up the last batch.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  num_examples = len(dataset.labels)
  images, labels = tf.constant(dataset.images), tf.constant(dataset.labels)

  def read(places):
    rows = tf.minimum(places, num_examples - 1)
    return {
      'images': tf.gather(images, rows),
      'labels': tf.gather(labels, rows),
      'mask': places < num_examples,
    }

  places = replicas_lib.places_in_order(
    num_examples, global_batch_size, context
  )
  return _read(tf.data.Dataset.from_tensor_slices(places), read)


def _read(parts: tf.data.Dataset, read: Callable) -> tf.data.Dataset:
  """Makes batches of what says which examples they are of."""
  return (
    parts.map(
      _as_it_is(read),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    )
    .prefetch(_AHEAD)
    .with_options(replicas_lib.options())
  )
