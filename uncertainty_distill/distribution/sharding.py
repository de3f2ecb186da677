"""How the replicas of all workers share a batch."""

from __future__ import annotations

from uncertainty_distill.errors import InputError

import tensorflow as tf


def shard_rows(
  num_examples: int,
  global_batch_size: int,
  context: tf.distribute.InputContext | None = None,
  num_groups: int = 1,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the row numbers of the batches of one worker's replicas, in order.

  Args:
    num_examples: The number of examples N.
    global_batch_size: The number of examples in a step, over all replicas.
    context: The replicas to feed; None if there is only one replica.
    num_groups: The number of consecutive groups of a batch that go to different
      members. Each replica gets an equal share of each group, in the order of
      the groups, so an example goes to the same members with any number of
      replicas.

  Returns:
    Row numbers, int32 [batches, b], and whether each row counts, bool
    [batches, b]: False if a row only fills up the last step. b is the batch
    size of one replica. The batches are in the order of the steps and, within a
    step, in the order of the replicas.

  Raises:
    InputError: If the batch size is not a positive multiple of the number of
      replicas times the number of groups.
  """
  replicas, first, count = _share(context)
  if global_batch_size < 1 or global_batch_size % (replicas * num_groups):
    expected = f'a positive multiple of the {replicas} replicas'
    if num_groups > 1:
      expected += f' times the {num_groups} members'
    raise InputError('global_batch_size', global_batch_size, expected)
  steps = -(-num_examples // global_batch_size)
  indices = tf.reshape(
    tf.range(steps * global_batch_size), [steps, num_groups, replicas, -1]
  )
  indices = tf.reshape(
    tf.transpose(indices[:, :, first : first + count], [0, 2, 1, 3]),
    [-1, global_batch_size // replicas],
  )
  return tf.minimum(indices, num_examples - 1), indices < num_examples


def _share(
  context: tf.distribute.InputContext | None,
) -> tuple[int, int, int]:
  """Returns which replicas a worker feeds.

  Returns:
    The number of all replicas, the index of this worker's first replica, and
    the number of this worker's replicas.
  """
  if context is None:
    return 1, 0, 1
  replicas = context.num_replicas_in_sync
  count = replicas // context.num_input_pipelines
  return replicas, context.input_pipeline_id * count, count


def options() -> tf.data.Options:
  """Returns the options of a dataset that holds one worker's share."""
  share_options = tf.data.Options()
  # TensorFlow's tuner looks at a pipeline at intervals of up to a minute, and
  # the end of an iterator may have to wait for the next look. These pipelines
  # need no tuning.
  share_options.autotune.enabled = False
  # Each worker reads its own rows; TensorFlow must not shard them again.
  share_options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.OFF
  )
  return share_options
