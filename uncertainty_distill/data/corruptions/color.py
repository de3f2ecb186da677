"""Corruptions that change colours pixel by pixel, without randomness.

Each takes images uint8 [B,H,W,C] and a severity from 1 to 5, and returns uint8
[B,H,W,C]. The constants are those of CIFAR-10-C, severity 1 first.
"""

from __future__ import annotations

import numpy as np

from uncertainty_distill.data.corruptions import pixels

_BRIGHTNESS_INCREMENTS = (0.05, 0.1, 0.15, 0.2, 0.3)
_CONTRAST_FACTORS = (0.75, 0.5, 0.4, 0.3, 0.15)


def brightness(images: np.ndarray, severity: int) -> np.ndarray:
  """Adds c to V of HSV, hue and saturation kept; V stops at 1."""
  values = pixels.to_unit(images)
  red, green, blue = np.moveaxis(values, -1, 0)
  peak = np.maximum(np.maximum(red, green), blue)[..., np.newaxis]
  raised = np.minimum(peak + _BRIGHTNESS_INCREMENTS[severity - 1], 1.0)
  # HSV writes a channel as V * (1 - drop) with drop = (V - x) / V, which is S
  # for the smallest channel, and hue and S fix the drops: no need to go through
  # the hue. Black has no hue and becomes grey (drop 0).
  drop = peak - values
  drop /= np.where(peak > 0.0, peak, 1.0)
  return pixels.to_bytes(raised * (1.0 - drop))


def contrast(images: np.ndarray, severity: int) -> np.ndarray:
  """Shrinks values towards the mean of their image and channel: (x-m)c + m."""
  values = pixels.to_unit(images)
  mean = values.mean(axis=(1, 2), keepdims=True)
  values -= mean
  values *= _CONTRAST_FACTORS[severity - 1]
  values += mean
  return pixels.to_bytes(values)
