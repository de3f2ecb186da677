"""Pictures of ice on a window, drawn by rule.

They replace the published photographs, which `frost_photographs` reads. Frost
lays a piece of a picture over an image. The sides of the pictures are six times
as long as those of the images, so that there are many different pieces.
"""

from __future__ import annotations

import functools

from uncertainty_distill.data.corruptions import plasma

import cv2
import numpy as np

# The side of a picture divided by the longer side of an image.
_SIDES = 6

_PICTURES = 5
_CANVAS = 512  # For 32x32 images, 2.7 pixels per pixel of a picture.
_CRYSTALS = 60
_BRANCHES = 9  # On each side of a stem.
_ANGLE = np.pi / 3  # Ice grows at 60 degrees.
_DARK = np.array([28.0, 44.0, 66.0])
_LIGHT = np.array([232.0, 244.0, 255.0])


@functools.lru_cache(maxsize=2)
def pictures(side: int) -> np.ndarray:
  """Returns the pictures for images; they are always the same.

  Args:
    side: The longer side of the images, in pixels.

  Returns:
    RGB uint8 [5,6*side,6*side,3].
  """
  side *= _SIDES
  # INTER_AREA averages where it shrinks, and interpolates where it enlarges.
  return np.stack(
    [
      cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
      for canvas in _canvases()
    ]
  )


@functools.cache
def _canvases() -> list[np.ndarray]:
  """Draws the pictures, uint8 [S,S,3] each."""
  return [_draw(np.random.default_rng(number)) for number in range(_PICTURES)]


def _draw(rng: np.random.Generator) -> np.ndarray:
  """Draws crystals on a window that is fogged here and there."""
  side = 1 << (_CANVAS - 1).bit_length()
  draws = rng.uniform(-1.0, 1.0, (1, side**2 - 1))
  fogged = plasma.height_maps(draws, 1.6)[0, :_CANVAS, :_CANVAS]
  crystals = np.zeros((_CANVAS, _CANVAS), np.uint8)
  for _ in range(_CRYSTALS):
    _grow(crystals, rng)
  glow = cv2.GaussianBlur(crystals, (0, 0), _CANVAS / 100)
  light = 0.45 * fogged + (0.45 * crystals + 0.5 * glow) / 255.0
  light = np.clip(light, 0.0, 1.0)[..., np.newaxis]
  return (_DARK + light * (_LIGHT - _DARK)).astype(np.uint8)


def _grow(canvas: np.ndarray, rng: np.random.Generator) -> None:
  """Draws a crystal: a stem, its branches on both sides, and their branches."""
  starts = rng.uniform(0.0, len(canvas), (1, 1, 2))
  angles = rng.uniform(0.0, 2 * np.pi, (1, 1))
  lengths = rng.uniform(0.1, 0.4, (1, 1)) * len(canvas)
  parts = np.arange(1, _BRANCHES + 1) / (_BRANCHES + 1)
  parts = np.repeat(parts, 2)[:, np.newaxis]  # One branch on each side.
  turns = np.tile([-_ANGLE, _ANGLE], _BRANCHES)[:, np.newaxis]
  for thickness in (3, 2, 1):
    along = lengths[..., np.newaxis] * np.stack(
      [np.cos(angles), np.sin(angles)], axis=-1
    )
    lines = np.stack([starts, starts + along], axis=-2).reshape(-1, 2, 2)
    cv2.polylines(
      canvas,
      # In 1/16 of a pixel.
      list(np.rint(16 * lines).astype(np.int32)),
      isClosed=False,
      color=int(rng.integers(90, 256)),
      thickness=thickness,
      lineType=cv2.LINE_AA,
      shift=4,
    )
    starts = (starts + parts[..., np.newaxis] * along).reshape(1, -1, 2)
    angles = (angles + turns).reshape(1, -1)
    lengths = 0.45 * lengths * (1.0 - parts)
    lengths = lengths.reshape(1, -1)
    lengths = lengths * rng.uniform(0.4, 1.0, lengths.shape)
