"""Between stored bytes and the unit interval, as the published script does."""

from __future__ import annotations

import numpy as np


def to_unit(images: np.ndarray) -> np.ndarray:
  """Returns uint8 images as float64 in [0, 1], same shape."""
  return images / 255.0


def to_bytes(values: np.ndarray) -> np.ndarray:
  """Clips float images to [0, 1] and returns them as uint8, same shape."""
  scaled = np.clip(values, 0.0, 1.0)
  scaled *= 255.0
  # The published script stores np.uint8(...), which truncates: rounding would
  # make every corrupted image half a level brighter than the benchmark's.
  return scaled.astype(np.uint8)
