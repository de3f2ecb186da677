"""Tests of snow, frost, fog and spatter by hand, and of their moments."""

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corruptions import (
  frost_photographs,
  frost_texture,
  plasma,
  spatter,
  weather,
)

import numpy as np
import pytest
import refusals

Corruption = corruptions.Corruption
Shift = corruptions.Shift


class Layer:
  """A random generator that returns a given layer as its normal draws.

  Its uniform draws, such as angles, are their means.
  """

  def __init__(self, layer):
    self.layer = np.asarray(layer, float)

  def normal(self, mean, deviation, size):
    del mean, deviation
    return self.layer.reshape(size)

  def uniform(self, low, high):
    return (low + high) / 2


def published(corruption, *constants):
  """Parametrizes a test by the shift and the constants of each severity."""
  pairs = [(Shift(corruption, s), c) for s, c in enumerate(constants, start=1)]
  return pytest.mark.parametrize('shift, c', pairs)


@published(Corruption.SNOW, 0.95, 0.9, 0.9, 0.85, 0.8)
def test_without_flakes_snow_only_whitens(shift, c):
  image = np.full((1, 16, 16, 3), (200, 100, 50), np.uint8)
  snowy = weather.snow(image, shift.severity, [Layer(np.zeros((16, 16)))])
  color = np.array([200, 100, 50])
  white = 1.5 * (0.299 * 200 + 0.587 * 100 + 0.114 * 50) + 127.5
  expected = c * color + (1 - c) * np.maximum(color, white)
  assert np.abs(snowy - expected.astype(int)).max() <= 1


def test_a_flake_falls_straight_down_and_up_again_on_the_other_side():
  layer = np.zeros((32, 32))
  layer[4, 10] = 1.0
  layer[20, 20] = 0.59  # Below the threshold of 0.6.
  black = np.zeros((1, 32, 32, 3), np.uint8)
  snowy = weather.snow(black, 1, [Layer(layer)])[0].astype(int)
  weights = np.exp(-(np.arange(17) ** 2) / (2 * 3.0**2))
  streak = (255 * weights / weights.sum()).astype(int)
  whitened = int(0.05 * 0.5 * 255)
  expected = np.full((32, 32), whitened)
  expected[4:21, 10] += streak
  expected[11:28, 21] += streak[::-1]
  assert np.abs(snowy - expected[..., np.newaxis]).max() <= 1


@published(
  Corruption.FROST, (1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)
)
def test_frost_is_a_sum_of_image_and_ice(shift, c):
  black = np.zeros((400, 32, 32, 3), np.uint8)
  image = np.full_like(black, 80)
  frozen = corruptions.corrupt(black, shift).astype(float)
  # Truncation takes half a level on average.
  pictures = frost_texture.pictures(32)
  gap = frozen.mean(axis=(0, 1, 2)) + 0.5
  gap -= c[1] * pictures.mean(axis=(0, 1, 2))
  assert np.abs(gap).max() < 5
  over_grey = corruptions.corrupt(image, shift)
  expected = np.minimum(c[0] * 80 + frozen, 255)
  assert np.all(np.abs(over_grey - expected) <= 1)


def test_photographs_of_frost_are_laid_over_as_published():
  # A fifth of each file's size. The published files 2 and 3 are the same.
  sides = [(120, 180), (63, 112), (63, 112), (70, 105), (99, 132)]
  published = frost_photographs.photographs(32)
  assert [picture.shape[:2] for picture in published] == sides
  np.testing.assert_array_equal(published[1], published[2])
  # The means of the published files, over channels (imagecorruptions 1.1.2).
  means = [130.84, 206.88, 206.88, 151.86, 123.50]
  np.testing.assert_allclose([p.mean() for p in published], means, atol=0.5)
  shift = corruptions.Shift(Corruption.FROST, 3)
  images = np.full((50, 32, 32, 3), 100, np.uint8)
  frozen = corruptions.corrupt(images, shift, frost='photographs')
  # Each result is 0.9 of the image plus 0.4 of a piece of a photograph.
  for image in frozen[:8]:
    assert any(_has_piece(picture, image) for picture in published)
  assert len({image.tobytes() for image in frozen}) == 50
  textured = corruptions.corrupt(images, shift)
  assert not np.array_equal(frozen, textured)
  with refusals.refused('frost', 'hail', 'one of texture, photographs'):
    corruptions.corrupt(images, shift, frost='hail')


def _has_piece(picture, frozen):
  """Returns whether a picture has the piece that was laid over gray 100."""
  laid = np.clip(0.9 * 100 + 0.4 * picture, 0, 255).astype(np.uint8)
  windows = np.lib.stride_tricks.sliding_window_view(laid, (32, 32, 3))
  return bool((windows == frozen).all(axis=(-3, -2, -1)).any())


def test_pictures_of_ice_are_five_always_the_same_and_bluish():
  pictures = frost_texture.pictures(32)
  assert pictures.shape == (5, 192, 192, 3)
  frost_texture.pictures.cache_clear()
  frost_texture._canvases.cache_clear()
  np.testing.assert_array_equal(frost_texture.pictures(32), pictures)
  red, green, blue = pictures.reshape(-1, 3).mean(axis=0)
  assert 80 < red < green < blue < 180
  spreads = pictures.std(axis=(1, 2))
  assert np.all((spreads > 30) & (spreads < 80))


@published(Corruption.FOG, 0.2, 0.5, 0.75, 1.0, 1.5)
def test_fog_scales_by_the_largest_value(shift, c):
  images = np.full((200, 32, 32, 3), 255, np.uint8)
  images[1] = 0
  images[2, ..., 1:] = 51
  foggy = corruptions.corrupt(images, shift).astype(float)
  # Heights h reach from 0 to 1, and (1 + c h) / (1 + c) from 1/(1+c) to 1.
  white = foggy[3:]
  assert set(white.min(axis=(1, 2, 3))) == {int(255 / (1 + c))}
  assert set(white.max(axis=(1, 2, 3))) <= {254, 255}
  assert np.all(white == white[..., :1])
  assert not foggy[1].any()
  # The largest value is taken over all channels together.
  heights = (foggy[2, ..., 0] / 255 * (1 + c) - 1) / c
  expected = 255 * (0.2 + c * heights) / (1 + c)
  assert np.abs(foggy[2, ..., 1] - expected).max() <= 1.5
  # High and low values are equally likely.
  mean = ((white / 255 * (1 + c) - 1) / c).mean()
  assert mean == pytest.approx(0.5, abs=0.04)


def test_height_map_by_hand():
  draws = np.array([[0.8, 0.2, -0.6], [-0.4, 0.0, 0.4]])
  # The corner is 0, and the middle is the first draw. The two other points have
  # the corner twice and the middle twice as neighbors: 0.4 + 0.2 and 0.4 - 0.6.
  first = np.array([[0.0, 0.6], [-0.2, 0.8]]) + 0.2
  second = np.array([[0.0, -0.2], [0.2, -0.4]]) + 0.4
  expected = [first / 1.0, second / 0.6]
  np.testing.assert_allclose(plasma.height_maps(draws, 3.0), expected)


def test_finer_scales_of_a_height_map_wobble_less():
  draws = np.zeros((1, 15))
  draws[0, 0] = 1.0  # The middle, (2, 2).
  draws[0, 3] = 1.0  # The middle of the first square at the next scale, (1, 1).
  heights = plasma.height_maps(draws, 2.0)[0]
  assert heights[2, 2] == heights.max() == 1 and heights[0, 0] == 0
  # (0, 2) and (2, 0) are half as high. The neighbors of (1, 1) have the sum 2
  # and so the mean 0.5.
  assert heights[0, 2] == heights[2, 0] == 0.5
  assert heights[1, 1] == pytest.approx(0.5 + 1 / 2**2)
  assert heights[1, 3] == pytest.approx(0.5)


def test_without_drops_nothing_is_spattered():
  image = np.full((1, 16, 16, 3), 128, np.uint8)
  for severity in corruptions.SEVERITIES:
    layer = Layer(np.full((16, 16), 0.5))
    result = spatter.spatter(image, severity, [layer])
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize('severity', [4, 5])
def test_mud_covers_what_is_under_it(severity):
  layer = np.full((32, 32), 0.5)
  layer[8:20, 8:20] = 1.0
  images = np.zeros((2, 32, 32, 3), np.uint8)
  images[1] = 255
  black, white = spatter.spatter(images, severity, [Layer(layer)] * 2)
  for image in (black, white):  # Within the drop nothing else is left.
    assert np.abs(image[12:16, 12:16] - np.array([63, 42, 20])).max() <= 1
  assert not black[:6].any() and np.all(white[:6] == 255)


@pytest.mark.parametrize('severity', [1, 2, 3])
def test_water_adds_pale_turquoise(severity):
  black = np.zeros((50, 32, 32, 3), np.uint8)
  wet = corruptions.corrupt(black, Shift(Corruption.SPATTER, severity))
  # The brightest spot of each image has half of the color.
  peak = wet.max(axis=(1, 2)).astype(int)
  assert np.abs(peak - np.array([175, 238, 238]) / 2).max() <= 1
  red, green = wet[..., 0].astype(int), wet[..., 1].astype(int)
  assert np.abs(red - green * 175 / 238).max() <= 1.5
  np.testing.assert_array_equal(wet[..., 1], wet[..., 2])
