"""Small sets of random images, and training batches of any images."""

import dataclasses

from uncertainty_distill import data

import numpy as np

_NAMES = tuple('0123456789')
_OF_VIEWS = {field.name for field in dataclasses.fields(data.Views)}


def make(name='tiny', number=30, size=16, labels=None, class_names=_NAMES):
  """Returns random images.

  Args:
    name: The name of the dataset.
    number: The number of images.
    size: The height and width of the images.
    labels: Integers [number]; by default 0, 1, 2, 0, 1 ...
    class_names: The names of the classes.
  """
  rng = np.random.default_rng(0)
  spec = data.DatasetSpec(
    name=name,
    image_shape=(size, size, 3),
    class_names=tuple(class_names),
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
  )
  images = rng.integers(0, 256, (number, size, size, 3), dtype=np.uint8)
  labels = np.arange(number) % 3 if labels is None else labels
  return data.ArraySource(spec, images, labels)


def numbered(number, size=4):
  """Returns random images; the label of each image is its row number."""
  labels = np.arange(number)
  return make(
    number=number, size=size, labels=labels, class_names=map(str, labels)
  )


def training_batches(source, batch, *, seed, **options):
  """Returns batches of views, which have the seed of the order or another one.

  Args:
    source: The examples.
    batch: The number of distinct examples in a step.
    seed: The seed of the order.
    **options: Options of `data.Views` and of `data.training_batches`;
      `view_seed` is the seed of the views.
  """
  of_views = {k: v for k, v in options.items() if k in _OF_VIEWS}
  others = {k: v for k, v in options.items() if k not in _OF_VIEWS}
  views = data.Views(source, others.pop('view_seed', seed), **of_views)
  return data.training_batches(views, batch, seed=seed, **others)
