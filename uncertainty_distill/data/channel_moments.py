"""The exact mean and standard deviation of each channel of many images."""

from __future__ import annotations

import threading

import numpy as np

# The number of values to count at once: NumPy needs 8 bytes for each.
_CHUNK = 2**20


class LevelCounts:
  """The count of each level in each channel, over any number of RGB images."""

  def __init__(self):
    self._counts = np.zeros([3, 256], np.int64)
    self._lock = threading.Lock()

  def add(self, images: np.ndarray) -> None:
    """Counts images, uint8 [..., 3]; several threads may call it at once."""
    pixels = images.reshape(-1, images.shape[-1])
    for start in range(0, len(pixels), _CHUNK):
      chunk = pixels[start : start + _CHUNK].T
      counts = [np.bincount(values, minlength=256) for values in chunk]
      with self._lock:
        self._counts += counts

  def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns three means and standard deviations in 0..1, to four digits.

    A deviation is at least 0.001, because a network divides by it.
    """
    shares = self._counts / self._counts.sum(1, keepdims=True)
    levels = np.arange(256) / 255
    mean = shares @ levels
    variance = (shares * (levels - mean[:, np.newaxis]) ** 2).sum(axis=1)
    return (
      tuple(round(float(x), 4) for x in mean),
      tuple(round(max(float(x), 1e-3), 4) for x in np.sqrt(variance)),
    )
