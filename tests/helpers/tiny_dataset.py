"""A test set of a few random images."""

from uncertainty_distill import data

import numpy as np


def make(name='tiny', number=30, size=16):
  """Returns a test set of random images, their labels 0, 1, 2, 0, 1 ..."""
  rng = np.random.default_rng(0)
  return data.ImageDataset(
    spec=data.DatasetSpec(
      name=name,
      image_shape=(size, size, 3),
      num_classes=10,
      num_train=1,
      num_test=number,
      mean=(0.5,) * 3,
      stddev=(0.25,) * 3,
    ),
    images=rng.integers(0, 256, (number, size, size, 3), dtype=np.uint8),
    labels=(np.arange(number) % 3).astype(np.int32),
  )
