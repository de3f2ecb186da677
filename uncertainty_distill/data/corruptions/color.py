"""Corruptions that change colors pixel by pixel, without randomness.

Each takes images uint8 [B,H,W,C] and a severity from 1 to 5, and returns uint8
[B,H,W,C]. `constants` has the numbers of each benchmark.
"""

from __future__ import annotations

from uncertainty_distill.data.corruptions import constants, pixels

import numpy as np


def brightness(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Adds c to V of HSV, up to 1, and keeps hue and saturation."""
  peak, drop = _peak_and_drop(pixels.to_unit(images))
  raised = np.minimum(
    peak + constants.read('brightness', severity, benchmark), 1.0
  )
  return pixels.to_bytes(raised * (1.0 - drop))


def saturate(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Replaces S of HSV by a S + b, clipped to 0..1; keeps hue and V."""
  factor, increment = constants.read('saturate', severity, benchmark)
  peak, drop = _peak_and_drop(pixels.to_unit(images))
  saturation = drop.max(axis=-1, keepdims=True)
  changed = np.clip(saturation * factor + increment, 0.0, 1.0)
  gray = saturation == 0.0
  drop *= changed / np.where(gray, 1.0, saturation)
  # By convention gray has the hue of red: green and blue drop.
  drop += gray * changed * (0.0, 1.0, 1.0)
  return pixels.to_bytes(peak * (1.0 - drop))


def contrast(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Shrinks values towards the mean of their image and channel: (x-m)c + m."""
  values = pixels.to_unit(images)
  mean = values.mean(axis=(1, 2), keepdims=True)
  values -= mean
  values *= constants.read('contrast', severity, benchmark)
  values += mean
  return pixels.to_bytes(values)


def _peak_and_drop(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns V of HSV and the relative drop of each channel below it.

  A channel is V * (1 - drop), where drop = (V - x) / V is S for the smallest
  channel. Hue and S determine the drops, so the hue itself is not needed.

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
