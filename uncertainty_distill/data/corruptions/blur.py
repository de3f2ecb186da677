"""Corruptions that blur.

Each takes images uint8 [B,H,W,C], a severity from 1 to 5 and, if it is random,
a random generator for each image, and returns uint8 [B,H,W,C]. `constants` has
the numbers of each benchmark.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from uncertainty_distill.data.corruptions import constants, motion, pixels, zoom

import cv2
import numpy as np
from scipy import ndimage, sparse


def gaussian_blur(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Blurs along H and W by a Gaussian cut off at 4 standard deviations."""
  values = pixels.to_unit(images)
  sigma = constants.read('gaussian_blur', severity, benchmark)
  return pixels.to_bytes(_gaussian(values, sigma))


def defocus_blur(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Blurs with a disk, like a lens out of focus; edges reflect.

  The constants are the radius of the disk, and the sigma of the Gaussian that
  smooths its outline.
  """
  kernel = _disk(*constants.read('defocus_blur', severity, benchmark))
  values = pixels.to_unit(images)
  for image in values:
    image[...] = cv2.filter2D(image, -1, kernel)
  return pixels.to_bytes(values)


def glass_blur(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Blurs, moves pixels to neighboring places, and blurs again.

  The constants are the sigma of both Gaussian blurs, the distance that a pixel
  moves at most, and the number of sweeps between the blurs.
  """
  sigma, reach, sweeps = constants.read('glass_blur', severity, benchmark)
  blurred = pixels.to_bytes(_gaussian(pixels.to_unit(images), sigma))
  batch, height, width, channels = images.shape
  if reach == 1:
    sources = _near_sources(generators, sweeps, height, width)
  else:
    sources = _far_sources(generators, sweeps, height, width, reach)
  for sweep in range(sweeps):
    blurred = np.take_along_axis(
      blurred.reshape(batch, height * width, channels),
      sources[:, sweep, :, np.newaxis],
      axis=1,
    )
  values = pixels.to_unit(blurred.reshape(images.shape))
  return pixels.to_bytes(_gaussian(values, sigma))


def _near_sources(
  generators: Sequence[np.random.Generator],
  sweeps: int,
  height: int,
  width: int,
) -> np.ndarray:
  """Draws the source of each pixel's value, at most one pixel away.

  The published sweep visits the pixels backwards, from the lower right to the
  upper left. It gives each pixel the value of a random neighbor, at most one
  pixel up and to the left. The sweep has not visited this neighbor yet, so it
  has the same effect as moving all pixels at once.

  Returns:
    Indices of pixels, [B, sweeps, H*W].
  """
  drawn = np.stack(
    [
      generator.integers(
        2, size=(sweeps, 2, height - 2, width - 2), dtype=np.uint8
      )
      for generator in generators
    ]
  )
  # The first two rows and columns stay as they are: no value comes from beyond
  # the image.
  moves = np.zeros((len(generators), sweeps, 2, height, width), np.intp)
  moves[..., 2:, 2:] = drawn
  up, left = (
    moves[:, :, axis].reshape(*moves.shape[:2], -1) for axis in (0, 1)
  )
  return np.arange(height * width) - up * width - left


def _far_sources(
  generators: Sequence[np.random.Generator],
  sweeps: int,
  height: int,
  width: int,
  reach: int,
) -> np.ndarray:
  """Draws the source of each pixel's value, up to `reach` pixels away.

  A neighbor lies from `reach` pixels up and to the left to `reach - 1` down and
  to the right. The sweep goes backwards. If it has already visited a neighbor,
  the neighbor holds the value of another neighbor, so this function follows the
  chain to its end.

  Returns:
    Indices of pixels, [B, sweeps, H*W].
  """
  here = np.arange(height * width)
  rows, columns = np.divmod(here, width)
  visited = (rows > reach) & (rows <= height - reach)
  visited &= (columns > reach) & (columns <= width - reach)
  sources = np.tile(here, (len(generators), sweeps, 1))
  for chosen, generator in zip(sources, generators, strict=True):
    down, right = generator.integers(
      -reach, reach, size=(2, sweeps, visited.sum())
    )
    for source, y, x in zip(chosen, down, right, strict=True):
      target = here.copy()
      target[visited] += y * width + x
      # The others have their own value: the sweep visits them later or never.
      chained = visited[target] & (target > here)
      following = np.where(chained, target, here)
      while True:  # Twice as far each time.
        further = following[following]
        if np.array_equal(further, following):
          break
        following = further
      source[...] = target[following]
  return sources


def motion_blur(
  images: np.ndarray,
  severity: int,
  generators: Sequence[np.random.Generator],
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Blurs along a line at a random angle of up to 45 degrees.

  The constants are radius and sigma of ImageMagick's motion blur.
  """
  angles = [generator.uniform(-45.0, 45.0) for generator in generators]
  radius, sigma = constants.read('motion_blur', severity, benchmark)
  return motion.blur(images, radius, sigma, np.array(angles))


def zoom_blur(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Averages the image with itself magnified, step by step, by up to 30%.

  The constants are the first factor, the one to stop before, and the step.
  """
  first, stop, step = constants.read('zoom_blur', severity, benchmark)
  height, width = images.shape[1:3]
  operator = _zoom_mean(height, width, first, stop, step)
  values = zoom.apply(operator, pixels.to_unit(images))
  # The published script computes in float32. Rounded to that, a flat area keeps
  # its level; truncated from float64, white would become 254 here and there.
  return pixels.to_bytes(values.astype(np.float32))


def _gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
  """Blurs float [B,H,W,C] along H and W; edges repeat the nearest value."""
  for axis in (1, 2):
    values = ndimage.gaussian_filter1d(
      values, sigma, axis=axis, mode='nearest', truncate=4.0
    )
  return values


def _disk(radius: float, sigma: float) -> np.ndarray:
  """Returns the kernel of a disk whose outline is smoothed."""
  # Smoothing enlarges the disk by a pixel, up to the edge of the published
  # grid, which is 17x17. For a larger radius, the grid is larger, and the disk
  # is smoothed further.
  reach = max(min(int(radius) + 1, 8), int(radius))
  size, border = (3, 3), cv2.BORDER_CONSTANT
  if radius >= 8:
    size = (3, 3) if radius == 8 else (5, 5)
    border = cv2.BORDER_DEFAULT
  offsets = np.arange(-reach, reach + 1)
  inside = offsets**2 + offsets[:, np.newaxis] ** 2 <= radius**2
  disk = inside.astype(np.float32) / np.float32(inside.sum())
  # The published grid has zeros around the disk.
  return cv2.GaussianBlur(disk, size, sigma, borderType=border)


@functools.lru_cache(maxsize=5)
def _zoom_mean(
  height: int, width: int, first: float, stop: float, step: float
) -> sparse.csr_array:
  """Returns the operator that averages an image and its magnified copies."""
  factors = np.arange(first, stop, step)
  total = sparse.eye_array(height * width, format='csr')
  for factor in factors:
    total = total + zoom.operator(height, width, factor)
  return (total / (len(factors) + 1)).tocsr()  # pyright: ignore[reportAttributeAccessIssue]
