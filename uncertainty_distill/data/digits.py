"""The handwritten digits that scikit-learn ships, as color images."""

from __future__ import annotations

import importlib.util
import os

from uncertainty_distill.data.image_source import DatasetSpec

import numpy as np

_SIZE = 16
NUM_TRAIN = 797
SPEC = DatasetSpec(
  name='digits',
  image_shape=(_SIZE, _SIZE, 3),
  class_names=tuple('0123456789'),
  mean=(0.3054,) * 3,
  stddev=(0.3175,) * 3,
)


def read(split: str) -> tuple[np.ndarray, np.ndarray]:
  """Reads 8x8 digits of 17 gray levels as 16x16 color images.

  Args:
    split: `train` or `test`.

  Returns:
    Images uint8 [N, 16, 16, 3] and labels [N].
  """
  # Slow to import. CIFAR needs it only for corrupted images.
  import cv2

  gray, labels = _load()
  # The file is sorted by writer and digit, so it is shuffled before the split.
  order = np.random.RandomState(0).permutation(len(labels))
  chosen = order[:NUM_TRAIN] if split == 'train' else order[NUM_TRAIN:]
  size = (_SIZE, _SIZE)
  gray = np.stack(
    [
      cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
      for image in gray[chosen] * (255 / 16)
    ]
  )
  images = np.repeat(np.round(gray).astype(np.uint8)[..., None], 3, axis=-1)
  return images, labels[chosen]


def _load() -> tuple[np.ndarray, np.ndarray]:
  """Returns gray levels from 0 to 16, [N, 8, 8], and labels [N]."""
  # Reads the file itself, because importing scikit-learn takes longer than
  # everything else that a small run does before its first step.
  package = importlib.util.find_spec('sklearn')
  folders = package.submodule_search_locations if package else None
  for folder in folders or []:
    path = os.path.join(folder, 'datasets', 'data', 'digits.csv.gz')
    if os.path.isfile(path):
      rows = np.loadtxt(path, delimiter=',')
      return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)
  import sklearn.datasets

  bunch = sklearn.datasets.load_digits()
  return bunch.images, bunch.target  # pyright: ignore[reportAttributeAccessIssue]
