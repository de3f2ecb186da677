"""How the replicas of all workers share out a batch."""

from __future__ import annotations

from uncertainty_distill.errors import InputError

import tensorflow as tf


def places_in_order(
  num_examples: int,
  global_batch_size: int,
  context: tf.distribute.InputContext | None,
  drop_remainder: bool = False,
) -> tf.Tensor:
  """Returns which places of a list of examples a worker's replicas get.

  Args:
    num_examples: N, the length of the list.
    global_batch_size: Examples in a step, over all replicas.
    context: Which replicas to feed.
    drop_remainder: Whether what does not fill a step is left out; else numbers
      from N on fill up the last step.

  Returns:
    int32 [batches, b], b being the batch of one replica: step after step, in
    each replica after replica.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  replicas, first, count = _share(context)
  per_replica = _batch_of_one(global_batch_size, replicas)
  steps = num_examples // global_batch_size
  if num_examples % global_batch_size and not drop_remainder:
    steps += 1
  places = tf.reshape(
    tf.range(steps * global_batch_size), [steps, replicas, per_replica]
  )
  return tf.reshape(places[:, first : first + count], [-1, per_replica])


def _share(
  context: tf.distribute.InputContext | None,
) -> tuple[int, int, int]:
  """Returns all replicas' number, this pipeline's first one, and its number."""
  if context is None:
    return 1, 0, 1
  replicas = context.num_replicas_in_sync
  count = replicas // context.num_input_pipelines
  return replicas, context.input_pipeline_id * count, count


def _batch_of_one(global_batch_size: int, replicas: int) -> int:
  if global_batch_size < 1 or global_batch_size % replicas:
    raise InputError(
      'global_batch_size',
      global_batch_size,
      f'a positive multiple of the {replicas} replicas',
    )
  return global_batch_size // replicas


def options() -> tf.data.Options:
  """Returns the options of a dataset that holds its own worker's share."""
  its_options = tf.data.Options()
  # TensorFlow's tuner looks at a pipeline now and then, up to a minute apart,
  # and an iterator that goes may have to wait for its next look. What is read
  # here is in memory, and needs no tuning.
  its_options.autotune.enabled = False
  # Each worker reads its own rows; TensorFlow must not shard them again.
  its_options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.OFF
  )
  return its_options
