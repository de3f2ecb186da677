"""Tests of changes of colors, against Matplotlib's HSV and by hand."""

from uncertainty_distill.data import corruptions

import numpy as np
import pytest
from matplotlib import colors

Corruption = corruptions.Corruption
Shift = corruptions.Shift


def random_images(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def published(corruption, *constants):
  """Parametrizes a test by the shift and the constant of each severity."""
  pairs = [(Shift(corruption, s), c) for s, c in enumerate(constants, start=1)]
  return pytest.mark.parametrize('shift, c', pairs)


@published(Corruption.BRIGHTNESS, 0.05, 0.1, 0.15, 0.2, 0.3)
def test_brightness_against_matplotlib_s_hsv(shift, c):
  images = random_images(20, 16, 16, 3)
  hsv = colors.rgb_to_hsv(images / 255)
  hsv[..., 2] = np.minimum(hsv[..., 2] + c, 1)
  expected = (colors.hsv_to_rgb(hsv) * 255).astype(np.uint8)
  # If the result is a whole level, rounding may truncate it to the one below.
  gap = corruptions.corrupt(images, shift).astype(int) - expected
  assert np.abs(gap).max() <= 1
  assert np.count_nonzero(gap) < 0.005 * gap.size


def test_brightness_by_hand():
  images = np.zeros((1, 12, 12, 3), np.uint8)
  images[0, 0, :2] = [(100, 50, 0), (0, 250, 125)]
  bright = corruptions.corrupt(images, Shift(Corruption.BRIGHTNESS, 1))
  # The largest channel rises by 12.75 levels, up to 255. The others rise in
  # proportion.
  expected = [[112, 56, 0], [0, 255, 127], [12, 12, 12]]
  assert bright[0, 0, :3].tolist() == expected


@published(
  Corruption.SATURATE, (0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)
)
def test_saturate_against_matplotlib_s_hsv(shift, c):
  images = random_images(20, 16, 16, 3)
  images[0] = images[0, ..., :1]  # Gray has no hue; HSV says red.
  hsv = colors.rgb_to_hsv(images / 255)
  hsv[..., 1] = np.clip(hsv[..., 1] * c[0] + c[1], 0, 1)
  lost = 255 * colors.hsv_to_rgb(hsv) - corruptions.corrupt(images, shift)
  assert -1e-3 < lost.min() and lost.max() < 1.001  # By truncation.


def test_saturate_by_hand():
  images = np.zeros((1, 12, 12, 3), np.uint8)
  images[0, 0, :3] = [(200, 150, 100), (80, 80, 80), (255, 0, 0)]
  # S = 0.5 becomes 1.45, clipped to 1; S = 0 becomes 0.2; black stays black.
  vivid = corruptions.corrupt(images, Shift(Corruption.SATURATE, 5))
  expected = [[200, 100, 0], [80, 64, 64], [255, 0, 0], [0, 0, 0]]
  assert np.abs(vivid[0, 0, :4].astype(int) - expected).max() <= 1
  # S = 0.5 becomes 0.05.
  pale = corruptions.corrupt(images, Shift(Corruption.SATURATE, 2))
  expected = [[200, 195, 190], [80, 80, 80], [255, 229, 229], [0, 0, 0]]
  assert np.abs(pale[0, 0, :4].astype(int) - expected).max() <= 1


@published(Corruption.CONTRAST, 0.75, 0.5, 0.4, 0.3, 0.15)
def test_contrast_by_hand(shift, c):
  images = np.zeros((2, 12, 12, 3), np.uint8)
  images[0, :6, :, 1] = 201  # The mean of this image and channel is 100.5.
  flat = corruptions.corrupt(images, shift)
  assert np.all(flat[0, :6, :, 1] == int(100.5 + 100.5 * c))
  assert np.all(flat[0, 6:, :, 1] == int(100.5 - 100.5 * c))
  assert not flat[0, ..., [0, 2]].any() and not flat[1].any()
