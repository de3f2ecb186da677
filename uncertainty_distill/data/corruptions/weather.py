"""Corruptions that look like weather.

Each takes images uint8 [B,H,W,3], a severity from 1 to 5 and a random generator
for each image, and returns uint8 [B,H,W,3]. `constants` has the numbers of each
benchmark.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from uncertainty_distill.data.corruptions import (
  constants,
  frost_photographs,
  frost_texture,
  motion,
  pixels,
  plasma,
  zoom,
)

import numpy as np
from scipy import sparse

# Functions of the longer side of the images and of the benchmark.
FROST_PICTURES = {
  'texture': lambda side, _: frost_texture.pictures(side),
  'photographs': frost_photographs.photographs,
}


def snow(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Adds streaks of falling flakes, and whitens the image.

  The constants are the mean and the standard deviation of the layer, its
  magnification, the threshold of a flake, radius and sigma of the motion blur,
  and the share of the image that keeps its color.
  """
  mean, deviation, factor, threshold, radius, sigma, kept = constants.read(
    'snow', severity, benchmark
  )
  height, width = images.shape[1:3]
  layer = np.stack(
    [
      generator.normal(mean, deviation, (height, width, 1))
      for generator in generators
    ]
  )
  layer = zoom.apply(_magnified(height, width, factor), layer)
  layer[layer < threshold] = 0.0
  angles = np.array([g.uniform(-135.0, -45.0) for g in generators])
  flakes = motion.blur(pixels.to_bytes(layer), radius, sigma, angles)
  flakes = pixels.to_unit(flakes)
  values = pixels.to_unit(images).astype(np.float32)
  red, green, blue = np.moveaxis(values, -1, 0)
  gray = (0.299 * red + 0.587 * green + 0.114 * blue)[..., np.newaxis]
  white = 1.5 * gray + 0.5
  values = kept * values + (1.0 - kept) * np.maximum(values, white)
  # The same flakes again, upside down.
  return pixels.to_bytes(values + flakes + flakes[:, ::-1, ::-1])


def frost(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  pictures: str = 'texture',
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Lays a random piece of a picture of ice over the image.

  `pictures` is a key of `FROST_PICTURES`.
  """
  image_share, ice_share = constants.read('frost', severity, benchmark)
  height, width = images.shape[1:3]
  choices = FROST_PICTURES[pictures](max(height, width), benchmark)
  pieces = np.empty(images.shape, np.uint8)
  for piece, generator in zip(pieces, generators, strict=True):
    picture = choices[generator.integers(len(choices))]
    y = generator.integers(picture.shape[0] - height)
    x = generator.integers(picture.shape[1] - width)
    piece[...] = picture[y : y + height, x : x + width]
  levels = image_share * images + ice_share * pieces
  return np.clip(levels, 0.0, 255.0).astype(np.uint8)


def fog(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Adds a height map to each image, and keeps the image's largest value.

  The constants are the density of the fog, and the decay of its roughness from
  one scale to the next.
  """
  density, decay = constants.read('fog', severity, benchmark)
  height, width = images.shape[1:3]
  side = 1 << (max(height, width) - 1).bit_length()
  draws = [g.uniform(-1.0, 1.0, side**2 - 1) for g in generators]
  heights = plasma.height_maps(np.stack(draws), decay)
  heights = heights[:, :height, :width, np.newaxis]
  values = pixels.to_unit(images)
  largest = values.max(axis=(1, 2, 3), keepdims=True)
  values += density * heights
  values *= largest / (largest + density)
  return pixels.to_bytes(values)


@functools.lru_cache(maxsize=5)
def _magnified(height: int, width: int, factor: float) -> sparse.csr_array:
  return zoom.operator(height, width, factor)
