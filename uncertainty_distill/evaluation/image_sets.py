"""What is evaluated on: sets of images, and the batches made of them."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any, TypeVar

from uncertainty_distill.data import ImageDataset, corruptions
from uncertainty_distill.data.corrupted_sets import CorruptedSet
from uncertainty_distill.errors import InputError

import numpy as np
import tensorflow as tf

# Batches that are ready before they are asked for.
_AHEAD = 4
_TYPES = {'images': tf.uint8, 'labels': tf.int32, 'mask': tf.bool}
_Place, _Made = TypeVar('_Place'), TypeVar('_Made')


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
  """Labelled images that are scored together.

  Attributes:
    label: For display only.
    labels: int32 [N].
    read: From the first example's place and that behind the last one to their
      images, uint8 [stop - start, H, W, C].
  """

  label: str
  labels: np.ndarray
  read: Callable[[int, int], np.ndarray]

  def __len__(self) -> int:
    return len(self.labels)

  def steps(self, global_batch_size: int) -> int:
    """Returns the number of batches, the last one perhaps padded."""
    return math.ceil(len(self) / global_batch_size)


def under_shift(source: CorruptedSet, shift: corruptions.Shift) -> ImageSet:
  """Returns the test examples under a shift, for `CLEAN` as they are."""
  read = functools.partial(source.images, shift)
  return ImageSet(shift.label, source.dataset.labels, read)


def foreign_to(dataset: ImageDataset, foreign: ImageDataset) -> ImageSet:
  """Returns images of none of the dataset's classes, under a label of its own.

  Raises:
    InputError: The images are not of the dataset's shape.
  """
  wanted, got = (list(x.images.shape[1:]) for x in (dataset, foreign))
  if got != wanted:
    raise InputError(
      'out-of-distribution images',
      f'images of {got}',
      f'images of {wanted}, as the test set has',
    )
  return ImageSet(
    'out of distribution',
    # Any label that every model knows; what follows from it is not used.
    np.zeros_like(foreign.labels),
    lambda start, stop: foreign.images[start:stop],
  )


def distributed_batches(
  sets: Sequence[ImageSet],
  global_batch_size: int,
  strategy: tf.distribute.Strategy,
) -> Iterator[Any]:
  """Returns the batches of all sets in order, made ahead of their use.

  Each replica gets `images` uint8 [b, H, W, C], `labels` int32 [b] and `mask`
  bool [b], False where an example only fills up the last batch of a set. All
  are of one shape, so that a step is traced once. A worker makes what its own
  replicas get; it does so in this process, since the other hosts of a TPU slice
  have no Python.

  Args:
    sets: Images of one shape.
    global_batch_size: Over all replicas, which divide it.
    strategy: The devices.

  Returns:
    What `strategy.run` takes as an argument, a batch at a time.
  """
  replicas = _local_replicas(strategy)
  size = global_batch_size // strategy.num_replicas_in_sync

  def make(place: tuple[ImageSet, int]) -> list[dict[str, tf.Tensor]]:
    images, start = place
    # A worker's replicas are neighbours: their rows are read at once.
    rows = _rows(images, start + replicas[0] * size, len(replicas) * size)
    return [_part(rows, number * size, size) for number in range(len(replicas))]

  places = (
    (images, start)
    for images in sets
    for start in range(0, len(images), global_batch_size)
  )
  for batch in _made_ahead(make, places):
    parts = iter(batch)
    yield strategy.experimental_distribute_values_from_function(
      # It is called for one local replica after the other, here and now.
      lambda _, parts=parts: next(parts)
    )


def _made_ahead(
  make: Callable[[_Place], _Made], places: Iterable[_Place]
) -> Iterator[_Made]:
  """Maps places in order, in a thread that is some of them ahead.

  A `tf.data.Dataset` of Python code would do, too, but for signals: an iterator
  that goes with the process waits for its thread, and that for Python.
  """
  pool = futures.ThreadPoolExecutor(1)
  waiting = collections.deque()
  try:
    for place in places:
      waiting.append(pool.submit(make, place))
      if len(waiting) > _AHEAD:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
  finally:
    pool.shutdown(wait=False, cancel_futures=True)


def _part(
  rows: Mapping[str, np.ndarray], start: int, size: int
) -> dict[str, tf.Tensor]:
  """Returns one replica's rows, in the memory of its host."""
  with tf.device('CPU'):
    return {
      name: tf.constant(rows[name][start : start + size], dtype)
      for name, dtype in _TYPES.items()
    }


def _local_replicas(strategy: tf.distribute.Strategy) -> list[int]:
  """Returns the numbers of this worker's replicas among all."""
  numbers = []

  def note(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
    numbers.append(context.replica_id_in_sync_group)
    return tf.constant(0)

  strategy.experimental_distribute_values_from_function(note)
  return numbers


def _rows(images: ImageSet, start: int, size: int) -> dict[str, np.ndarray]:
  """Returns the examples from `start` on; zeros where there are no more."""
  count = max(0, min(size, len(images) - start))
  start = min(start, len(images))
  return {
    'images': _padded(images.read(start, start + count), size - count),
    'labels': _padded(images.labels[start : start + count], size - count),
    'mask': np.arange(size) < count,
  }


def _padded(array: np.ndarray, padding: int) -> np.ndarray:
  """Returns the array with zeros behind its first axis."""
  if not padding:
    return array
  return np.pad(array, [(0, padding)] + [(0, 0)] * (array.ndim - 1))
