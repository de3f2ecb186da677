"""What is evaluated on: sets of images, and the batches made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf
from uncertainty_distill.data import corruptions
from uncertainty_distill.data import ImageDataset
from uncertainty_distill.data.corrupted_sets import CorruptedSet
from uncertainty_distill.errors import InputError


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
        'out-of-distribution images', f'images of {got}',
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
    image_shape: Sequence[int],
    global_batch_size: int,
    strategy: tf.distribute.Strategy,
) -> Iterator[dict[str, tf.Tensor]]:
  """Returns the batches of all sets in order, made ahead of their use.

  Each is `images` uint8 [B, H, W, C], `labels` int32 [B] and `mask` bool [B],
  False where an example only fills up the last batch of a set. All are of one
  shape, so that a step is traced once.

  Args:
    sets: Images of one shape.
    image_shape: H, W, C.
    global_batch_size: B, over all replicas.
    strategy: The devices.
  """

  def generate() -> Iterator[dict[str, np.ndarray]]:
    for images in sets:
      for start in range(0, len(images), global_batch_size):
        stop = min(start + global_batch_size, len(images))
        padding = global_batch_size - (stop - start)
        yield {
            'images': _padded(images.read(start, stop), padding),
            'labels': _padded(images.labels[start:stop], padding),
            'mask': np.arange(global_batch_size) < stop - start,
        }

  batch = [global_batch_size]
  batches = tf.data.Dataset.from_generator(
      generate,
      output_signature={
          'images': tf.TensorSpec([*batch, *image_shape], tf.uint8),
          'labels': tf.TensorSpec(batch, tf.int32),
          'mask': tf.TensorSpec(batch, tf.bool),
      },
  ).prefetch(4)
  options = tf.data.Options()
  # Each worker would else get a part of the examples.
  options.experimental_distribute.auto_shard_policy = (
      tf.data.experimental.AutoShardPolicy.OFF
  )
  return iter(
      strategy.experimental_distribute_dataset(batches.with_options(options))
  )


def _padded(array: np.ndarray, padding: int) -> np.ndarray:
  """Returns the array with zeros behind its first axis."""
  if not padding:
    return array
  return np.pad(array, [(0, padding)] + [(0, 0)] * (array.ndim - 1))
