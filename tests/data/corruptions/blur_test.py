"""Tests of blurs against SciPy, against ImageMagick and by hand."""

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corruptions import blur, motion, zoom

import numpy as np
import pytest
from scipy import ndimage

Corruption = corruptions.Corruption
Shift = corruptions.Shift


def random_images(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class Draws:
  """A random generator that returns given draws."""

  def __init__(self, values):
    self.values = values

  def integers(self, high, size, dtype):
    assert high == 2 and self.values.shape == size
    return self.values.astype(dtype)

  def uniform(self, low, high):
    return low + self.values * (high - low)


def published(corruption, *constants):
  """Parametrizes a test by the shift and the constants of each severity."""
  pairs = [(Shift(corruption, s), c) for s, c in enumerate(constants, start=1)]
  return pytest.mark.parametrize('shift, c', pairs)


@published(Corruption.GAUSSIAN_BLUR, 0.4, 0.6, 0.7, 0.8, 1.0)
def test_gaussian_blur_against_scipy_image_by_image(shift, c):
  images = random_images(5, 20, 32, 3)
  for image, blurred in zip(images, corruptions.corrupt(images, shift)):
    unit = ndimage.gaussian_filter(image / 255, (c, c, 0), mode='nearest')
    np.testing.assert_array_equal(blurred, (255 * unit).astype(np.uint8))


@published(
  Corruption.DEFOCUS_BLUR, (1, 0.4), (1, 0.5), (1, 0.6), (5, 0.2), (9, 0.1)
)
def test_defocus_blur_is_a_smoothed_disk(shift, c):
  area, sigma = c
  # Disks of radius 0.3 to 0.5, 1 and 1.5 cover 1, 5 and 9 pixels.
  disk = np.zeros((5, 5))
  offsets = np.arange(-2, 3) ** 2
  disk[np.add.outer(offsets, offsets) <= {1: 0, 5: 1, 9: 2}[area]] = 1 / area
  weights = np.exp(-np.array([1, 0, 1]) / (2 * sigma**2))
  weights /= weights.sum()
  kernel = ndimage.convolve(disk, np.outer(weights, weights), mode='constant')
  images = random_images(5, 20, 32, 3)
  for image, blurred in zip(images, corruptions.corrupt(images, shift)):
    unit = ndimage.convolve(image / 255, kernel[..., np.newaxis], mode='mirror')
    lost = 255 * unit - blurred  # By truncation.
    assert -1e-3 < lost.min() and lost.max() < 1.001


@published(Corruption.GLASS_BLUR, 0.05, 0.25, 0.4, 0.25, 0.4)
def test_glass_blur_is_the_published_sweep(shift, c):
  sweeps = 2 if shift.severity > 3 else 1
  images = random_images(2, 12, 16, 3)
  draws = np.random.default_rng(1).integers(0, 2, (2, sweeps, 2, 10, 14))
  glass = blur.glass_blur(images, shift.severity, [Draws(d) for d in draws])

  def smooth(image):
    unit = ndimage.gaussian_filter(image / 255, (c, c, 0), mode='nearest')
    return (255 * unit).astype(np.uint8)

  for image, moves, expected in zip(images, draws, glass):
    image = smooth(image)
    for up, left in moves:
      # Pixel by pixel, backwards, in place.
      for h in range(11, 1, -1):
        for w in range(15, 1, -1):
          source = h - up[h - 2, w - 2], w - left[h - 2, w - 2]
          image[h, w] = image[source]
    np.testing.assert_array_equal(expected, smooth(image))


@pytest.mark.parametrize(
  'angle, radius, sigma, expected',
  [
    (
      30,
      6,
      1.5,
      [
        [29, 75, 100, 144, 144, 73, 158, 220],
        [71, 113, 79, 120, 148, 188, 153, 148],
        [70, 54, 103, 110, 113, 113, 44, 80],
        [109, 178, 190, 183, 197, 179, 97, 66],
        [135, 183, 213, 158, 114, 187, 178, 188],
        [90, 109, 107, 127, 187, 112, 69, 120],
        [131, 145, 86, 116, 164, 179, 124, 107],
        [90, 70, 85, 102, 116, 204, 222, 247],
      ],
    ),
    (
      -110,
      8,
      3,
      [
        [0, 14, 69, 66, 132, 109, 70, 151],
        [3, 40, 59, 78, 107, 167, 91, 134],
        [11, 32, 38, 102, 58, 219, 70, 101],
        [22, 31, 99, 117, 79, 194, 99, 85],
        [36, 89, 125, 126, 105, 154, 172, 93],
        [51, 88, 117, 119, 138, 152, 172, 117],
        [67, 91, 121, 110, 165, 141, 145, 111],
        [83, 92, 103, 134, 87, 169, 171, 135],
      ],
    ),
  ],
)
def test_motion_blur_is_imagemagick_s(angle, radius, sigma, expected):
  # By `convert -motion-blur 6x1.5+30` and `8x3-110`, ImageMagick 6.9.11 Q16.
  y, x = np.mgrid[:8, :8]
  image = ((97 * y * x + 31 * x * x + 17 * y) % 256).astype(np.uint8)
  images = image[np.newaxis, ..., np.newaxis]
  blurred = motion.blur(images, radius, sigma, np.array([angle]))
  assert blurred[0, ..., 0].tolist() == expected


@published(Corruption.MOTION_BLUR, (6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
def test_motion_blur_by_hand(shift, c):
  radius, sigma = c
  images = np.zeros((3, 41, 41, 3), np.uint8)
  images[:, 20, 20] = 255
  weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
  line = (255 * weights / weights.sum() + 0.5 / 257).astype(np.uint8)
  generators = [Draws(part) for part in (0.5, 1.0, 0.5)]  # 0, 45, 0 degrees.
  blurred = blur.motion_blur(images, shift.severity, generators)
  expected = np.zeros((41, 41, 3), np.uint8)
  expected[20, 20 - 2 * radius : 21] = line[::-1, np.newaxis]
  np.testing.assert_array_equal(blurred[0], expected)
  np.testing.assert_array_equal(blurred[2], expected)
  # At 45 degrees a step is 0.7 pixels each way: 0, 0.7, 1.4, 2.1, 2.8, 3.5.
  diagonal = np.diagonal(blurred[1, ..., 0])[20::-1].astype(int)
  steps = np.ceil(np.arange(2 * radius + 1) * np.sqrt(0.5) - 0.5).astype(int)
  sums = np.bincount(steps, weights / weights.sum() * 255)
  np.testing.assert_allclose(diagonal[: len(sums)], sums, atol=1)
  assert blurred[1].sum() == 3 * diagonal.sum()


def test_magnifying_by_hand():
  # The middle two of four pixels, stretched to four.
  row = zoom.operator(4, 4, 2.0) @ np.tile([0.0, 3.0, 6.0, 100.0], 4)
  np.testing.assert_allclose(row.reshape(4, 4), np.tile([3, 4, 5, 6], (4, 1)))


@published(Corruption.ZOOM_BLUR, 1.06, 1.11, 1.16, 1.21, 1.26)
def test_zoom_blur_against_scipy(shift, c):
  images = random_images(3, 20, 32, 3)
  images[0] = 255
  blurred = corruptions.corrupt(images, shift)
  for image, result in zip(images, blurred):
    layers = [image / 255]
    for factor in np.arange(1, c, 0.01):
      middle = image / 255
      for axis, side in enumerate(image.shape[:2]):
        cropped = -int(-side // factor)
        first = (side - cropped) // 2
        middle = middle.take(range(first, first + cropped), axis)
      layer = ndimage.zoom(middle, (factor, factor, 1), order=1)
      for axis, side in enumerate(image.shape[:2]):
        first = (layer.shape[axis] - side) // 2
        layer = layer.take(range(first, first + side), axis)
      layers.append(layer)
    lost = 255 * np.mean(layers, axis=0) - result  # By truncation.
    assert -1e-3 < lost.min() and lost.max() < 1.001
  assert np.all(blurred[0] == 255)  # White does not fade.
