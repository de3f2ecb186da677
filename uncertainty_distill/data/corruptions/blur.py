"""Corruptions that blur.

Each takes images uint8 [B,H,W,C], a severity from 1 to 5 and, if it is random,
a random generator for each image, and returns uint8 [B,H,W,C]. The constants
are those of CIFAR-10-C, severity 1 first, with lengths in pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from uncertainty_distill.data.corruptions import motion, pixels, zoom

import cv2
import numpy as np
from scipy import ndimage, sparse

_GAUSSIAN_SIGMAS = (0.4, 0.6, 0.7, 0.8, 1.0)
# Radius of the disk, sigma of the Gaussian that smooths its outline.
_DEFOCUS_DISKS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))
# Sigma of the Gaussian before and after; number of sweeps between.
_GLASS_SWEEPS = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
# Radius and sigma of ImageMagick's motion blur.
_MOTION_LINES = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))
_ZOOM_STOPS = (1.06, 1.11, 1.16, 1.21, 1.26)


def gaussian_blur(images: np.ndarray, severity: int) -> np.ndarray:
  """Blurs along H and W by a Gaussian cut off at 4 standard deviations."""
  values = pixels.to_unit(images)
  return pixels.to_bytes(_gaussian(values, _GAUSSIAN_SIGMAS[severity - 1]))


def defocus_blur(images: np.ndarray, severity: int) -> np.ndarray:
  """Blurs by a disk, like a lens out of focus; edges reflect."""
  kernel = _disk(*_DEFOCUS_DISKS[severity - 1])
  values = pixels.to_unit(images)
  for image in values:
    image[...] = cv2.filter2D(image, -1, kernel)
  return pixels.to_bytes(values)


def glass_blur(
  images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
  """Blurs, moves pixels to neighboring places, and blurs again."""
  sigma, sweeps = _GLASS_SWEEPS[severity - 1]
  blurred = pixels.to_bytes(_gaussian(pixels.to_unit(images), sigma))
  batch, height, width, channels = images.shape
  # The published sweep visits the pixels backwards, from the lower right to the
  # upper left. It puts in each the value of a neighbor at most one pixel up and
  # to the left, drawn at random, which it has not visited yet. So a sweep is
  # the same as moving all pixels at once.
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
  moves = np.zeros((batch, sweeps, 2, height, width), np.intp)
  moves[..., 2:, 2:] = drawn
  here = np.arange(height * width)
  for sweep in range(sweeps):
    up, left = (moves[:, sweep, axis].reshape(batch, -1) for axis in (0, 1))
    sources = here - up * width - left
    blurred = np.take_along_axis(
      blurred.reshape(batch, height * width, channels),
      sources[..., np.newaxis],
      axis=1,
    )
  values = pixels.to_unit(blurred.reshape(images.shape))
  return pixels.to_bytes(_gaussian(values, sigma))


def motion_blur(
  images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
  """Blurs along a line at a random angle of up to 45 degrees."""
  angles = [generator.uniform(-45.0, 45.0) for generator in generators]
  return motion.blur(images, *_MOTION_LINES[severity - 1], np.array(angles))


def zoom_blur(images: np.ndarray, severity: int) -> np.ndarray:
  """Averages the image with itself magnified, step by step, by up to 25%."""
  operator = _zoom_mean(*images.shape[1:3], _ZOOM_STOPS[severity - 1])
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
  reach = int(radius) + 1  # Smoothing adds a pixel.
  offsets = np.arange(-reach, reach + 1)
  inside = offsets**2 + offsets[:, np.newaxis] ** 2 <= radius**2
  disk = inside.astype(np.float32) / np.float32(inside.sum())
  # With zeros around the disk, as on the published grid of 17x17.
  return cv2.GaussianBlur(disk, (3, 3), sigma, borderType=cv2.BORDER_CONSTANT)


@functools.lru_cache(maxsize=5)
def _zoom_mean(height: int, width: int, stop: float) -> sparse.csr_array:
  """Returns the operator that averages an image and its magnified copies."""
  factors = np.arange(1.0, stop, 0.01)
  total = sparse.eye_array(height * width, format='csr')
  for factor in factors:
    total = total + zoom.operator(height, width, factor)
  return (total / (len(factors) + 1)).tocsr()  # pyright: ignore[reportAttributeAccessIssue]
