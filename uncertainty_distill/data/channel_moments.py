"""The exact mean and standard deviation of each channel of many images."""

from __future__ import annotations

import threading

import numpy as np

# Values that are counted at once: to count, NumPy needs 8 bytes for each.
_CHUNK = 2**20


class LevelCounts:
  """How often each level is in each channel, of any number of images."""

  def __init__(self, channels: int = 3):
    """Begins without images.

    Args:
      channels: The number of channels C.
    """
    self._counts = np.zeros([channels, 256], np.int64)
    self._lock = threading.Lock()

  def add(self, images: np.ndarray) -> None:
    """Counts images, uint8 [..., C]; several threads may do so."""
    pixels = images.reshape(-1, images.shape[-1])
    for start in range(0, len(pixels), _CHUNK):
      chunk = pixels[start : start + _CHUNK].T
      counts = [np.bincount(values, minlength=256) for values in chunk]
      with self._lock:
        self._counts += counts

  def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns C means and standard deviations in 0..1, to four digits.

    No deviation is 0, by which a network would divide.
    """
    shares = self._counts / self._counts.sum(1, keepdims=True)
    levels = np.arange(256) / 255
    mean = shares @ levels
    variance = (shares * (levels - mean[:, np.newaxis]) ** 2).sum(axis=1)
    return (
      tuple(round(float(x), 4) for x in mean),
      tuple(round(max(float(x), 1e-3), 4) for x in np.sqrt(variance)),
    )
