"""Motion blur as ImageMagick computes it."""

from __future__ import annotations

import numpy as np

# ImageMagick adds up in steps of 1/257 of a level, rounds to a step, and only
# then truncates to levels.
_HALF_STEP = 0.5 / 257


def blur(
  images: np.ndarray, radius: int, sigma: float, angles: np.ndarray
) -> np.ndarray:
  """Blurs each image along a line at its own angle, to one side.

  The value of a pixel is the mean, weighted by a Gaussian, of the values that
  lie 0, 1, ... 2*radius pixels away in the direction of the angle. Each of the
  values is that of the pixel nearest to the line. Edges repeat the nearest
  value.

  Args:
    images: uint8 [B,H,W,C].
    radius: Half the length of the line, in pixels.
    sigma: The standard deviation of the Gaussian, in pixels.
    angles: Degrees, [B]; 0 points to the right, 90 downwards.

  Returns:
    uint8 [B,H,W,C].
  """
  height, width = images.shape[1:3]
  steps = np.arange(2 * radius + 1)
  weights = np.exp(-(steps**2) / (2.0 * sigma**2))
  weights = (weights / weights.sum()).astype(np.float32)
  # After sorting by angle, images whose step goes to the same pixel are
  # adjacent, so one slice serves them all.
  order = np.argsort(angles, kind='stable')
  radians = np.deg2rad(angles[order])[:, np.newaxis]
  right = np.ceil(steps * np.cos(radians) - 0.5).astype(int)
  down = np.ceil(steps * np.sin(radians) - 0.5).astype(int)
  rows = np.arange(down.min(initial=0), height + down.max(initial=0))
  columns = np.arange(right.min(initial=0), width + right.max(initial=0))
  padded = images[order].astype(np.float32)
  padded = padded[:, np.clip(rows, 0, height - 1)]
  padded = padded[:, :, np.clip(columns, 0, width - 1)]
  sums = np.zeros(images.shape, np.float32)
  for step, weight in enumerate(weights):
    y, x = down[:, step] - rows[0], right[:, step] - columns[0]
    for first, last in _runs(y, x):
      shifted = padded[
        first:last, y[first] : y[first] + height, x[first] : x[first] + width
      ]
      sums[first:last] += weight * shifted
  result = np.empty_like(images)
  result[order] = (sums + _HALF_STEP).astype(np.uint8)
  return result


def _runs(y: np.ndarray, x: np.ndarray) -> list[tuple[int, int]]:
  """Returns the start and the end of each run of equal pairs."""
  changes = np.flatnonzero((np.diff(y) != 0) | (np.diff(x) != 0)) + 1
  edges = [0, *changes.tolist(), len(y)] if len(y) else []
  return list(zip(edges[:-1], edges[1:], strict=True))
