"""Small sets of random images."""

from uncertainty_distill import data

import numpy as np

_NAMES = tuple('0123456789')


def make(name='tiny', number=30, size=16, labels=None, class_names=_NAMES):
  """Returns random images.

  Args:
    name: The name of the dataset.
    number: How many.
    size: The length of their sides.
    labels: [number]; by default 0, 1, 2, 0, 1 ...
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
  """Returns random images, the label of each of which is its row number."""
  labels = np.arange(number)
  return make(
    number=number, size=size, labels=labels, class_names=map(str, labels)
  )
