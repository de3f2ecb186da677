r"""Measures how many augmented training images are made per second.

The alternative is the common pipeline: a map over single images, then a batch.

  python benchmarks/input.py
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from uncertainty_distill import data, trained
from uncertainty_distill.data import cifar

import interleaved_timing
import numpy as np
import tensorflow as tf
from absl import app, flags

_EXAMPLES = flags.DEFINE_integer('examples', 50000, 'In the training set.')
_SIZE = flags.DEFINE_integer('size', 32, 'Side of the images in pixels.')
_BATCH = flags.DEFINE_integer('batch', 128, 'Images in a step.')
_STEPS = flags.DEFINE_integer('steps', 300, 'Batches in a turn.')
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Turns that each one takes.')

_PADDING = 2
_EACH = 'one image at a time'
_OURS = 'whole batches'
_CACHED = 'whole batches, with the logits of a teacher of 4 from a cache'


def _dataset() -> data.ArraySource:
  rng = np.random.default_rng(0)
  shape = (_EXAMPLES.value, _SIZE.value, _SIZE.value, 3)
  return data.ArraySource(
    cifar.SPECS['cifar10'],
    rng.integers(0, 256, shape, dtype=np.uint8),
    rng.integers(0, 10, _EXAMPLES.value).astype(np.int32),
  )


def _one_at_a_time(dataset: data.ArraySource) -> tf.data.Dataset:
  """Returns the same augmentation in the style of TensorFlow's tutorials."""

  def augment(image, label):
    size = _SIZE.value + 2 * _PADDING
    image = tf.image.resize_with_crop_or_pad(image, size, size)
    image = tf.image.random_crop(image, [_SIZE.value, _SIZE.value, 3])
    return tf.image.random_flip_left_right(image), label

  return (
    tf.data.Dataset.from_tensor_slices((dataset.images, dataset.labels))
    .shuffle(_EXAMPLES.value)
    .repeat()
    .map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    .batch(_BATCH.value, drop_remainder=True)
    .prefetch(tf.data.AUTOTUNE)
  )


def _stored_logits(folder: str) -> trained.LogitsCache:
  """Returns a cache of one view."""
  cache = trained.LogitsCache(folder, {})
  with cache.alone():
    logits = np.zeros([_EXAMPLES.value, 4, 10], np.float16)
    cache.write(0, len(logits), [(logits,)])
  return cache


def _candidates(folder: str) -> dict[str, Callable[[], None]]:
  dataset, cache = _dataset(), _stored_logits(folder)
  package = functools.partial(
    data.training_batches,
    data.Views(dataset, padding=_PADDING, flip=True),
    _BATCH.value,
    seed=0,
  )
  batches = {
    _EACH: _one_at_a_time(dataset),
    _OURS: package(),
    _CACHED: package(num_views=1, teacher_logits=cache.read),
  }
  return {
    name: interleaved_timing.taking(each, _STEPS.value)
    for name, each in batches.items()
  }


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as folder:
    times = interleaved_timing.time_interleaved(
      _candidates(folder), _ROUNDS.value
    )
  images = _STEPS.value * _BATCH.value
  interleaved_timing.print_rates('Augmentation', times, _EACH, images)


if __name__ == '__main__':
  app.run(main)
