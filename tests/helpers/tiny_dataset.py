"""Small sets of random images."""

from uncertainty_distill import data

import numpy as np


def make(name='tiny', number=30, size=16, labels=None, num_classes=10):
  """Returns random images.

  Args:
    name: The name of the dataset.
    number: How many.
    size: The length of their sides.
    labels: [number]; by default 0, 1, 2, 0, 1 ...
    num_classes: The number of classes.
  """
  rng = np.random.default_rng(0)
  spec = data.DatasetSpec(
    name=name,
    image_shape=(size, size, 3),
    class_names=tuple(map(str, range(num_classes))),
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
  )
  images = rng.integers(0, 256, (number, size, size, 3), dtype=np.uint8)
  labels = np.arange(number) % 3 if labels is None else labels
  return data.ArraySource(spec, images, labels)


def numbered(number, size=4):
  """Returns random images, the label of each of which is its row number."""
  return make(
    number=number, size=size, labels=np.arange(number), num_classes=number
  )
