"""Spatter: drops of water or of mud on the lens.

Its constants are the mean and the standard deviation of the liquid, the sigma
of its smoothing, the threshold of a drop, the strength of water or the sigma of
the outline of mud, and whether the liquid is mud.
"""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.data.corruptions import constants, pixels

import cv2
import numpy as np
from scipy import ndimage

_WATER = np.array([175.0, 238.0, 238.0]) / 255.0
_MUD = np.array([63.0, 42.0, 20.0]) / 255.0
# Light falls from the upper left.
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)


def spatter(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Adds drops of water to images, or covers parts of them with mud.

  Args:
    images: uint8 [B,H,W,3].
    severity: 1 to 5.
    generators: One random generator for each image.
    benchmark: The benchmark whose constants to use.

  Returns:
    uint8 [B,H,W,3].
  """
  mean, deviation, sigma, threshold, strength, is_mud = constants.read(
    'spatter', severity, benchmark
  )
  liquid = np.stack(
    [g.normal(mean, deviation, images.shape[1:3]) for g in generators]
  )
  liquid = _smooth(liquid, sigma)
  values = pixels.to_unit(images)
  if is_mud:
    cover = _smooth((liquid > threshold).astype(np.float64), strength)
    cover = np.where(cover < 0.8, 0.0, cover)[..., np.newaxis]
    return pixels.to_bytes(values * (1.0 - cover) + cover * _MUD)
  liquid[liquid < threshold] = 0.0
  cover = np.stack([_water(layer) for layer in liquid])[..., np.newaxis]
  return pixels.to_bytes(values + strength * cover * _WATER)


def _smooth(layers: np.ndarray, sigma: float) -> np.ndarray:
  """Blurs [B,H,W] along H and W; edges repeat the nearest value."""
  return ndimage.gaussian_filter(
    layers, sigma, axes=(1, 2), mode='nearest', truncate=4.0
  )


def _water(layer: np.ndarray) -> np.ndarray:
  """Returns how much light a layer of liquid reflects, up to 1, [H,W].

  The light grows with the distance from the outlines of the drops, in relief.
  """
  # As in the published data, values above 1 wrap around to 0.
  levels = (layer * 255.0).astype(np.int64).astype(np.uint8)
  outlines = cv2.Canny(levels, 50, 150)
  distances = cv2.distanceTransform(255 - outlines, cv2.DIST_L2, 5)
  distances = np.minimum(distances, 20.0)
  distances = cv2.blur(distances, (3, 3)).astype(np.uint8)
  relief = cv2.filter2D(cv2.equalizeHist(distances), cv2.CV_8U, _RELIEF)
  light = levels * cv2.blur(relief, (3, 3)).astype(np.float32)
  # Without a single drop all values are 0.
  return light / max(light.max(), 1.0)
