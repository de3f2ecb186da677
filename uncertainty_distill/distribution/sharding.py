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
    global_batch_size: Examples in a step, over all replicas.
    context: Which replicas to feed; None where there is one replica.
    num_groups: Into how many parts, one after the other, the members share a
      batch out. Each replica gets an equal share of each part, in their order,
      so that an example goes to the same member with any number of replicas.

  Returns:
    Row numbers, int32 [batches, b], and whether each counts, bool [batches, b]:
    False where a row only fills up the last step. b is the batch of one
    replica. The batches go step by step and, in each step, replica by replica.

  Raises:
    InputError: If the replicas times the groups do not divide the batch.
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
  """Returns the numbers of replicas, of this worker's first one, of its own."""
  if context is None:
    return 1, 0, 1
  replicas = context.num_replicas_in_sync
  count = replicas // context.num_input_pipelines
  return replicas, context.input_pipeline_id * count, count


def options() -> tf.data.Options:
  """Returns the options of a dataset that holds one worker's share."""
  share_options = tf.data.Options()
  # TensorFlow's tuner looks at a pipeline now and then, up to a minute apart,
  # and to end an iterator may have to wait for its next look. These pipelines
  # need no tuning.
  share_options.autotune.enabled = False
  # Each worker reads its own rows; TensorFlow must not shard them again.
  share_options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.OFF
  )
  return share_options
