"""Elastic transform: a random affine map, then random smooth displacements.

Its constants are the largest displacement before smoothing, the sigma of the
smoothing, and how far the three points that determine the affine map may move.
The constants grow with the shorter side of the image.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from uncertainty_distill.data.corruptions import constants, pixels

import cv2
import numpy as np
from scipy import ndimage


def elastic_transform(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Moves pixels smoothly; see the module.

  Args:
    images: uint8 [B,H,W,C].
    severity: 1 to 5.
    generators: One random generator for each image.
    benchmark: The benchmark whose constants to use.

  Returns:
    uint8 [B,H,W,C].
  """
  height, width = images.shape[1:3]
  side = min(height, width)
  alpha, sigma, affine = (
    c * side / constants.side(benchmark)
    for c in constants.read('elastic_transform', severity, benchmark)
  )
  values = pixels.to_unit(images).astype(np.float32)
  for image, generator in zip(values, generators, strict=True):
    image[...] = _affine(image, generator.uniform(-affine, affine, (3, 2)))
  if alpha:
    noise = np.stack(
      [g.uniform(-1.0, 1.0, (2, height, width)) for g in generators]
    )
    smooth = _smoothing(height, sigma) @ noise @ _smoothing(width, sigma).T
    values = _displace(values, (alpha * smooth).astype(np.float32))
  return pixels.to_bytes(values)


def _affine(image: np.ndarray, moves: np.ndarray) -> np.ndarray:
  """Applies the affine map that moves three points around the center.

  Edges reflect without repeating the outermost pixels.

  Args:
    image: float32 [H,W,C].
    moves: How far each point moves, x and y in pixels, [3,2].

  Returns:
    float32 [H,W,C].
  """
  height, width = image.shape[:2]
  third = min(height, width) // 3
  corners = np.array([(1, 1), (1, -1), (-1, -1)])
  points = (width // 2, height // 2) + third * corners
  matrix = cv2.getAffineTransform(
    points.astype(np.float32), (points + moves).astype(np.float32)
  )
  return cv2.warpAffine(
    image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
  )


@functools.lru_cache(maxsize=10)
def _smoothing(side: int, sigma: float) -> np.ndarray:
  """Returns the matrix [side, side] that blurs an axis; edges reflect."""
  return ndimage.gaussian_filter1d(
    np.eye(side), sigma, axis=0, mode='reflect', truncate=3.0
  )


def _displace(values: np.ndarray, moves: np.ndarray) -> np.ndarray:
  """Returns the values at a distance from each pixel, interpolated linearly.

  Args:
    values: float32 [B,H,W,C].
    moves: The numbers of rows and columns to move from each pixel, float32
      [B,2,H,W]. Edges reflect as often as needed.

  Returns:
    float32 [B,H,W,C].
  """
  batch, height, width, channels = values.shape
  flat = values.reshape(-1, channels)
  rows = np.arange(height, dtype=np.float32)[:, np.newaxis] + moves[:, 0]
  columns = np.arange(width, dtype=np.float32) + moves[:, 1]
  top, left = np.floor(rows), np.floor(columns)
  down, right = rows - top, columns - left
  down, right = down[..., np.newaxis], right[..., np.newaxis]
  top, left = top.astype(np.intp), left.astype(np.intp)
  starts = np.arange(batch)[:, np.newaxis, np.newaxis] * (height * width)
  upper = starts + _reflect(top, height) * width
  lower = starts + _reflect(top + 1, height) * width
  left, beside = _reflect(left, width), _reflect(left + 1, width)
  # a + share * (b - a), not the weighted sum, leaves a flat area as it is.
  above = flat[upper + left]
  above += right * (flat[upper + beside] - above)
  below = flat[lower + left]
  below += right * (flat[lower + beside] - below)
  return above + down * (below - above)


def _reflect(indices: np.ndarray, side: int) -> np.ndarray:
  """Returns indices mirrored at the edges: -1 to 0, `side` to `side - 1`."""
  # Reflects as often as needed: small images move by more than their sides.
  indices = np.mod(indices, 2 * side)
  return np.where(indices >= side, 2 * side - 1 - indices, indices)
