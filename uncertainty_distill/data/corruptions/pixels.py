"""Conversions between bytes and the unit interval, as published."""

from __future__ import annotations

import numpy as np


def to_unit(images: np.ndarray) -> np.ndarray:
  """Returns uint8 images as float64 in [0, 1], of the same shape."""
  return images / 255.0


def to_bytes(values: np.ndarray) -> np.ndarray:
  """Clips float images to [0, 1]; returns uint8 of the same shape."""
  scaled = np.clip(values, 0.0, 1.0)
  scaled *= 255.0
  # The published script stores np.uint8(...), which truncates. Rounding would
  # make every corrupted image half a level brighter than in the benchmark.
  return scaled.astype(np.uint8)
