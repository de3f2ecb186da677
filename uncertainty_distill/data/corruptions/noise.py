"""Corruptions that add random noise to each value independently.

Each takes images uint8 [B,H,W,C], a severity from 1 to 5 and a random generator
for each image, and returns uint8 [B,H,W,C]. `constants` has the numbers of each
benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.data.corruptions import constants, pixels

import numpy as np


def gaussian_noise(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Adds N(0, c^2) to every value in [0, 1]."""
  noise = _normal(images.shape, generators)
  noise *= constants.read('gaussian_noise', severity, benchmark)
  return pixels.to_bytes(pixels.to_unit(images) + noise)


def speckle_noise(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Adds x N(0, c^2) to every value x in [0, 1]."""
  noise = _normal(images.shape, generators)
  noise *= constants.read('speckle_noise', severity, benchmark)
  values = pixels.to_unit(images)
  noise *= values
  return pixels.to_bytes(values + noise)


def shot_noise(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Replaces every value x in [0, 1] by Poisson(c x) / c."""
  photons = constants.read('shot_noise', severity, benchmark)
  values = pixels.to_unit(images)
  values *= photons
  for rates, generator in zip(values, generators, strict=True):
    rates[...] = generator.poisson(rates)
  values /= photons
  return pixels.to_bytes(values)


def impulse_noise(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Sets each value with probability c to 0 or 1, both equally likely."""
  fraction = constants.read('impulse_noise', severity, benchmark)
  draws = np.empty(images.shape)
  for draw, generator in zip(draws, generators, strict=True):
    generator.random(out=draw)
  # One uniform draw decides whether to replace a value, and by what.
  values = pixels.to_unit(images)
  values[draws < fraction] = 0.0
  values[draws < fraction / 2] = 1.0
  return pixels.to_bytes(values)


def _normal(
  shape: tuple[int, ...], generators: Sequence[np.random.Generator]
) -> np.ndarray:
  """Draws from N(0, 1), for each image with its own generator."""
  values = np.empty(shape)
  for draws, generator in zip(values, generators, strict=True):
    generator.standard_normal(out=draws)
  return values
