"""Sets of images to evaluate on, and their batches, which Python makes.

`data.pipeline` makes the batches for training, and for validation while
training. These need no Python, so each host of a TPU slice can read its own
batches. But NumPy makes corrupted images, and a report scores them in one pass
and with one compiled step, together with the clean and the out-of-distribution
images. So this module makes the batches of a report, in the processes that run
Python. Both modules take the rows and the padding of a batch from
`distribution.sharding`.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any, TypeVar

from uncertainty_distill.data import ImageSource, corruptions
from uncertainty_distill.data.corrupted_sets import CorruptedSet
from uncertainty_distill.distribution import sharding

import numpy as np
import tensorflow as tf

# The number of batches that are made ahead of their use.
_PREFETCHED = 4
_Item = TypeVar('_Item')
_Made = TypeVar('_Made')


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
  """Labeled images that are scored together.

  Attributes:
    label: The name, for display only.
    labels: int32 [N].
    read: A function from row numbers, integers [b], to images, uint8
      [b, H, W, C].
  """

  label: str
  labels: np.ndarray
  read: Callable[[np.ndarray], np.ndarray]

  def __len__(self) -> int:
    return len(self.labels)

  def steps(self, global_batch_size: int) -> int:
    """Returns the number of batches; the last one may be padded."""
    return math.ceil(len(self) / global_batch_size)


def under_shift(
  dataset: ImageSource, source: CorruptedSet, shift: corruptions.Shift
) -> ImageSet:
  """Returns the examples of a dataset under a shift.

  Args:
    dataset: The test examples, or only the first of them.
    source: The images of all test examples under shifts.
    shift: The shift. `CLEAN` leaves the images unchanged.
  """
  read = functools.partial(source.images, shift)
  return ImageSet(shift.label, dataset.labels, read)


def out_of_distribution(images: ImageSource) -> ImageSet:
  """Returns the set of images that belong to none of the test set's classes."""
  return ImageSet(
    'out of distribution',
    # Any label that all models have will do: metrics that use it are dropped.
    np.zeros_like(images.labels),
    images.numpy,
  )


def distributed_batches(
  sets: Sequence[ImageSet],
  global_batch_size: int,
  strategy: tf.distribute.Strategy,
) -> Iterator[Any]:
  """Returns the batches of all sets in order, made ahead of their use.

  Each replica gets `images` uint8 [b, H, W, C], `labels` int32 [b] and `mask`
  bool [b], False where an example only fills up the last batch of a set. All
  batches have the same shape, so that a step is traced once.

  Args:
    sets: The sets, whose images all have the same shape.
    global_batch_size: Examples in a step over all replicas; a multiple of the
      number of replicas.
    strategy: The devices.

  Returns:
    The batches, one at a time, as arguments for `strategy.run`.
  """
  context, count = _local_share(strategy)

  def rows_of_steps() -> Iterator[tuple[ImageSet, np.ndarray, np.ndarray]]:
    for images in sets:
      rows, mask = sharding.shard_rows(len(images), global_batch_size, context)
      rows, mask = rows.numpy(), mask.numpy()
      for first in range(0, len(rows), count):
        step = slice(first, first + count)
        yield images, rows[step], mask[step]

  for replica_batches in _made_ahead(_make_batches, rows_of_steps()):
    batches = iter(replica_batches)
    yield strategy.experimental_distribute_values_from_function(
      # This is called at once, for one local replica after the other.
      lambda _, batches=batches: next(batches)
    )


def _make_batches(
  step: tuple[ImageSet, np.ndarray, np.ndarray],
) -> list[dict[str, tf.Tensor]]:
  """Returns the batches of this worker's replicas, in the host's memory.

  Args:
    step: The images, and the row numbers and masks of the R replicas, both
      [R, b].
  """
  images, rows, mask = step
  # The rows of all replicas are read at once, and repeated rows, which fill up
  # the last batch, only once.
  wanted, indices = np.unique(rows, return_inverse=True)
  pixels = images.read(wanted)[indices.reshape(rows.shape)]
  with tf.device('CPU'):
    return [
      {
        'images': tf.constant(pixels[replica]),
        'labels': tf.constant(images.labels[rows[replica]]),
        'mask': tf.constant(mask[replica]),
      }
      for replica in range(len(rows))
    ]


def _made_ahead(
  make: Callable[[_Item], _Made], items: Iterable[_Item]
) -> Iterator[_Made]:
  """Maps items in order, in a thread that works some items ahead.

  A `tf.data.Dataset` that calls Python would do the same, but not if a signal
  ends the process: its iterator then waits for its own thread, and this thread
  waits for Python.
  """
  pool = futures.ThreadPoolExecutor(1)
  waiting = collections.deque()
  try:
    for item in items:
      waiting.append(pool.submit(make, item))
      if len(waiting) > _PREFETCHED:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
  finally:
    pool.shutdown(wait=False, cancel_futures=True)


def _local_share(
  strategy: tf.distribute.Strategy,
) -> tuple[tf.distribute.InputContext, int]:
  """Returns which replicas this worker feeds, and the number of them."""
  replicas = []

  def note(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
    replicas.append(context.replica_id_in_sync_group)
    return tf.constant(0)

  strategy.experimental_distribute_values_from_function(note)
  total, count = strategy.num_replicas_in_sync, len(replicas)
  context = tf.distribute.InputContext(
    num_input_pipelines=total // count,
    input_pipeline_id=replicas[0] // count,
    num_replicas_in_sync=total,
  )
  return context, count
