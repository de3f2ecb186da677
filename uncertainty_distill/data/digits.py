"""The handwritten digits that scikit-learn ships, as colour images."""

from __future__ import annotations

import numpy as np

SIZE = 16
NUM_TRAIN = 797
NUM_TEST = 1000


def read(split: str) -> tuple[np.ndarray, np.ndarray]:
  """Reads 8x8 digits of 17 grey levels as 16x16 colour images."""
  # Imported here: both are slow to import, and CIFAR needs neither.
  import cv2  # pylint: disable=g-import-not-at-top
  import sklearn.datasets  # pylint: disable=g-import-not-at-top

  bunch = sklearn.datasets.load_digits()
  # The file is sorted by writer and digit, so it is shuffled before the split.
  order = np.random.RandomState(0).permutation(len(bunch.target))
  chosen = order[:NUM_TRAIN] if split == 'train' else order[NUM_TRAIN:]
  size = (SIZE, SIZE)
  grey = np.stack([
      cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
      for image in bunch.images[chosen] * (255 / 16)
  ])
  images = np.repeat(np.round(grey).astype(np.uint8)[..., None], 3, axis=-1)
  return images, bunch.target[chosen]
