"""Corruptions that blur.

Each takes images uint8 [B,H,W,C] and a severity from 1 to 5, and returns uint8
[B,H,W,C]. The constants are those of CIFAR-10-C, severity 1 first.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from uncertainty_distill.data.corruptions import pixels

_GAUSSIAN_SIGMAS = (0.4, 0.6, 0.7, 0.8, 1.0)  # In pixels.


def gaussian_blur(images: np.ndarray, severity: int) -> np.ndarray:
  """Blurs along H and W by a Gaussian cut off at 4 standard deviations."""
  sigma = _GAUSSIAN_SIGMAS[severity - 1]
  values = pixels.to_unit(images)
  for axis in (1, 2):
    values = ndimage.gaussian_filter1d(
        values, sigma, axis=axis, mode='nearest', truncate=4.0
    )
  return pixels.to_bytes(values)
