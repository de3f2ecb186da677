"""The handwritten digits that scikit-learn ships, as colour images."""

from __future__ import annotations

import importlib.util
import os

import numpy as np

SIZE = 16
NUM_TRAIN = 797
NUM_TEST = 1000


def read(split: str) -> tuple[np.ndarray, np.ndarray]:
  """Reads 8x8 digits of 17 grey levels as 16x16 colour images."""
  # Slow to import, and CIFAR needs it for corrupted images alone.
  import cv2

  grey, labels = _load()
  # The file is sorted by writer and digit, so it is shuffled before the split.
  order = np.random.RandomState(0).permutation(len(labels))
  chosen = order[:NUM_TRAIN] if split == 'train' else order[NUM_TRAIN:]
  size = (SIZE, SIZE)
  grey = np.stack(
    [
      cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
      for image in grey[chosen] * (255 / 16)
    ]
  )
  images = np.repeat(np.round(grey).astype(np.uint8)[..., None], 3, axis=-1)
  return images, labels[chosen]


def _load() -> tuple[np.ndarray, np.ndarray]:
  """Returns grey levels 0..16 [N, 8, 8] and labels [N]."""
  # The file itself, since to import scikit-learn takes longer than all else
  # that a small run does before its first step.
  package = importlib.util.find_spec('sklearn')
  folders = package.submodule_search_locations if package else []
  for folder in folders:
    path = os.path.join(folder, 'datasets', 'data', 'digits.csv.gz')
    if os.path.isfile(path):
      rows = np.loadtxt(path, delimiter=',')
      return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)
  import sklearn.datasets

  bunch = sklearn.datasets.load_digits()
  return bunch.images, bunch.target
