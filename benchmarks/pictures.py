r"""Measures how many pictures of a folder become training images per second.

The alternative is a plain pipeline with the same decoding: a map over single
files, then a batch. `--cache` also measures images that were decoded before.

  python benchmarks/pictures.py
  python benchmarks/pictures.py --pictures=10000 --steps=150 --rounds=9
"""

from __future__ import annotations

import os
import pathlib
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from uncertainty_distill import data
from uncertainty_distill.data.pictures import image_decoding

import interleaved_timing
import numpy as np
import tensorflow as tf
from absl import app, flags
from PIL import Image

_PICTURES = flags.DEFINE_integer('pictures', 600, 'JPEGs in the folder.')
_SIZE = flags.DEFINE_integer('size', 224, 'Side of the images in pixels.')
_BATCH = flags.DEFINE_integer('batch', 64, 'Images in a step.')
_STEPS = flags.DEFINE_integer('steps', 9, 'Batches in a turn.')
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Turns that each one takes.')
_CACHE = flags.DEFINE_bool('cache', True, 'Whether to measure decoded images.')

_PLAIN = 'one picture at a time'
_OURS = 'whole batches'
_MAPPED = 'whole batches, decoded before'


def _write(folder: pathlib.Path) -> None:
  """Writes pictures of about 224 x 224 pixels, of two classes."""
  rng = np.random.default_rng(0)
  for index in range(_PICTURES.value):
    height, width = rng.integers(200, 249, 2)
    # Smooth, as photographs are, so that the files have a photograph's size.
    coarse = rng.integers(0, 256, [28, 28, 3], dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height))
    split = 'test' if index < 2 else 'train'
    place = folder / split / 'ab'[index % 2]
    place.mkdir(parents=True, exist_ok=True)
    picture.save(place / f'{index}.jpg', quality=90)


def _one_at_a_time(paths: list[str]) -> tf.data.Dataset:
  """Returns the same decoding in the style of TensorFlow's tutorials."""
  size = _SIZE.value, _SIZE.value

  def decode(path):
    content = tf.io.read_file(path)
    return image_decoding.decode_image(content, size, 'resize')

  return (
    tf.data.Dataset.from_tensor_slices(paths)
    .shuffle(len(paths))
    .repeat()
    .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    .batch(_BATCH.value, drop_remainder=True)
    .prefetch(tf.data.AUTOTUNE)
  )


def _package(folder: str, image_cache: str = '') -> tf.data.Dataset:
  opened = data.open_dataset(
    folder,
    image_size=(_SIZE.value, _SIZE.value),
    decoding=data.Decoding(image_cache=image_cache),
  )
  return data.training_batches(data.Views(opened.train), _BATCH.value, seed=0)


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary) / 'pictures'
    _write(folder)
    paths = [str(path) for path in folder.glob('train/*/*')]
    batches = {_PLAIN: _one_at_a_time(paths), _OURS: _package(str(folder))}
    if _CACHE.value:
      batches[_MAPPED] = _package(str(folder), f'{temporary}/cache')
    times = interleaved_timing.time_interleaved(
      {
        name: interleaved_timing.taking(each, _STEPS.value)
        for name, each in batches.items()
      },
      _ROUNDS.value,
    )
  images = _STEPS.value * _BATCH.value
  interleaved_timing.print_rates('Pictures', times, _PLAIN, images)


if __name__ == '__main__':
  app.run(main)
