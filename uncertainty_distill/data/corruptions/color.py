"""Corruptions that change colours pixel by pixel, without randomness.

Each takes images uint8 [B,H,W,C] and a severity from 1 to 5, and returns uint8
[B,H,W,C]. The constants are those of CIFAR-10-C, severity 1 first.
"""

from __future__ import annotations

from uncertainty_distill.data.corruptions import pixels

import numpy as np

_BRIGHTNESS_INCREMENTS = (0.05, 0.1, 0.15, 0.2, 0.3)
_CONTRAST_FACTORS = (0.75, 0.5, 0.4, 0.3, 0.15)
# Factor and increment.
_SATURATION_LINES = ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))


def brightness(images: np.ndarray, severity: int) -> np.ndarray:
  """Adds c to V of HSV, hue and saturation kept; V stops at 1."""
  peak, drop = _peak_and_drop(pixels.to_unit(images))
  raised = np.minimum(peak + _BRIGHTNESS_INCREMENTS[severity - 1], 1.0)
  return pixels.to_bytes(raised * (1.0 - drop))


def saturate(images: np.ndarray, severity: int) -> np.ndarray:
  """Makes S of HSV a S + b, from 0 to 1, hue and brightness kept."""
  factor, increment = _SATURATION_LINES[severity - 1]
  peak, drop = _peak_and_drop(pixels.to_unit(images))
  saturation = drop.max(axis=-1, keepdims=True)
  changed = np.clip(saturation * factor + increment, 0.0, 1.0)
  grey = saturation == 0.0
  drop *= changed / np.where(grey, 1.0, saturation)
  # The hue of grey is by convention that of red, which green and blue lack.
  drop += grey * changed * (0.0, 1.0, 1.0)
  return pixels.to_bytes(peak * (1.0 - drop))


def contrast(images: np.ndarray, severity: int) -> np.ndarray:
  """Shrinks values towards the mean of their image and channel: (x-m)c + m."""
  values = pixels.to_unit(images)
  mean = values.mean(axis=(1, 2), keepdims=True)
  values -= mean
  values *= _CONTRAST_FACTORS[severity - 1]
  values += mean
  return pixels.to_bytes(values)


def _peak_and_drop(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns V of HSV and how far below it each channel is, relatively.

  A channel is V * (1 - drop) with drop = (V - x) / V, which is S for the
  smallest channel, and hue and S fix the drops: no need to go through the hue.

  Args:
    values: RGB in [0, 1], [B,H,W,3].

  Returns:
    V [B,H,W,1] and the drops [B,H,W,3], 0 for black.
  """
  red, green, blue = np.moveaxis(values, -1, 0)
  peak = np.maximum(np.maximum(red, green), blue)[..., np.newaxis]
  drop = peak - values
  drop /= np.where(peak > 0.0, peak, 1.0)
  return peak, drop
