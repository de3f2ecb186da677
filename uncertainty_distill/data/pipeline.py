"""Batches for training and evaluation as tf.data, for one worker's replicas.

Both take a `tf.distribute.InputContext`, or None where there is one replica,
and yield one replica's batch at a time: that is what
`strategy.distribute_datasets_from_function` wants.
"""

from __future__ import annotations

import tensorflow as tf
from uncertainty_distill.data.augmentation import augment
from uncertainty_distill.data.augmentation import augmentation_table
from uncertainty_distill.data.sources import ImageDataset
from uncertainty_distill.errors import InputError


def training_batches(
    dataset: ImageDataset,
    global_batch_size: int,
    *,
    seed: int,
    padding: int,
    flip: bool,
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
    seed: Of the permutations and the augmentation.
    padding: Pixels on each side before random crops; 0 for none.
    flip: Whether to mirror half of the images.
    start_step: The global step to begin with.
    context: Which replicas to feed.

  Returns:
    Dataset of `images` uint8 [b, H, W, C] and `labels` int32 [b], b being the
    batch of one replica.

  Raises:
    InputError: If the replicas do not divide the batch, or if there are fewer
      examples than a batch.
  """
  num_examples = len(dataset.labels)
  if num_examples < global_batch_size:
    raise InputError(
        'global_batch_size', global_batch_size,
        f'at most the {num_examples} training examples',
    )
  replicas, first, count = _replicas(context)
  per_replica = _batch_of_one_replica(global_batch_size, replicas)
  steps = num_examples // global_batch_size

  def indices_of_epoch(epoch):
    rows = _permutation(num_examples, seed, epoch)[: steps * global_batch_size]
    rows = tf.reshape(rows, [steps, replicas, per_replica])
    mine = rows[:, first : first + count]
    table = augmentation_table(num_examples, seed, epoch, padding, flip)
    return tf.data.Dataset.from_tensor_slices(
        (mine, tf.gather(table, mine))
    ).unbatch()

  epochs = tf.data.Dataset.range(start_step // steps, tf.int64.max)
  return (
      epochs.flat_map(indices_of_epoch)
      # Indices are cheap to skip; images are read behind this.
      .skip((start_step % steps) * count)
      .map(
          _reader(dataset, padding, flip),
          num_parallel_calls=tf.data.AUTOTUNE,
          deterministic=True,
      )
      .prefetch(tf.data.AUTOTUNE)
      .with_options(_options())
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

  def read(rows, table):
    batch = tf.gather(images, rows)
    if padding or flip:
      batch = augment(batch, table, padding)
    return {'images': batch, 'labels': tf.gather(labels, rows)}

  return read


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
  replicas, first, count = _replicas(context)
  per_replica = _batch_of_one_replica(global_batch_size, replicas)
  num_examples = len(dataset.labels)
  steps = -(-num_examples // global_batch_size)
  images, labels = tf.constant(dataset.images), tf.constant(dataset.labels)

  def read(rows):
    inside = rows < num_examples
    rows = tf.minimum(rows, num_examples - 1)
    return {
        'images': tf.gather(images, rows),
        'labels': tf.gather(labels, rows),
        'mask': inside,
    }

  rows = tf.reshape(
      tf.range(steps * global_batch_size), [steps, replicas, per_replica]
  )
  mine = tf.data.Dataset.from_tensor_slices(rows[:, first : first + count])
  return (
      mine.unbatch()
      .map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
      .prefetch(tf.data.AUTOTUNE)
      .with_options(_options())
  )


def _replicas(
    context: tf.distribute.InputContext | None,
) -> tuple[int, int, int]:
  """Returns all replicas' number, this pipeline's first one, and its number."""
  if context is None:
    return 1, 0, 1
  replicas = context.num_replicas_in_sync
  count = replicas // context.num_input_pipelines
  return replicas, context.input_pipeline_id * count, count


def _batch_of_one_replica(global_batch_size: int, replicas: int) -> int:
  if global_batch_size < 1 or global_batch_size % replicas:
    raise InputError(
        'global_batch_size', global_batch_size,
        f'a positive multiple of the {replicas} replicas',
    )
  return global_batch_size // replicas


def _options() -> tf.data.Options:
  options = tf.data.Options()
  # Each worker reads its own rows; TensorFlow must not shard them again.
  options.experimental_distribute.auto_shard_policy = (
      tf.data.experimental.AutoShardPolicy.OFF
  )
  return options
