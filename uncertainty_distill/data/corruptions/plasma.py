"""Random height maps, rough at all scales."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def height_maps(draws: np.ndarray, decay: float) -> np.ndarray:
  """Makes height maps by the diamond-square algorithm; opposite edges join.

  From coarse to fine, points are filled in with the mean of their four
  neighbors plus a random part: at each scale first the middles of squares, then
  the middles of their upper sides, then the middles of their left sides.

  Args:
    draws: Uniform draws in -1..1, [B, S*S-1], for maps of side S, a power of
      two, in the order in which the points are filled in, row by row.
    decay: The random part is divided by `decay**2` from scale to scale.

  Returns:
    Heights whose minimum is 0 and maximum is 1 in each map, float64 [B,S,S].
  """
  batch, number = draws.shape
  side = round((number + 1) ** 0.5)
  wobbles = _wobbles(draws, decay)
  # The batch is the last axis, because slices along a map have long strides.
  heights = np.zeros((side, side, batch))
  step = side
  while step > 1:
    even, odd = slice(0, None, step), slice(step // 2, None, step)
    corners = heights[even, even]
    upper = corners + np.roll(corners, -1, axis=1)
    left = corners + np.roll(corners, -1, axis=0)
    middles = (upper + np.roll(upper, -1, axis=0)) / 4.0 + next(wobbles)
    upper += middles + np.roll(middles, 1, axis=0)
    left += middles + np.roll(middles, 1, axis=1)
    heights[odd, odd] = middles
    heights[even, odd] = upper / 4.0 + next(wobbles)
    heights[odd, even] = left / 4.0 + next(wobbles)
    step //= 2
  heights -= heights.min(axis=(0, 1))
  heights /= heights.max(axis=(0, 1))
  return np.moveaxis(heights, -1, 0)


def _wobbles(draws: np.ndarray, decay: float) -> Iterator[np.ndarray]:
  """Yields the random parts of points that are filled in together, [n,n,B]."""
  points, scale, start = 1, 1.0, 0
  while start < draws.shape[1]:
    for _ in range(3):
      chosen = draws[:, start : start + points**2]
      yield scale * chosen.T.reshape(points, points, -1)
      start += points**2
    points, scale = 2 * points, scale / decay**2
