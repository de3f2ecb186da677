"""Tests of corruptions that come from storing an image in less space."""

from uncertainty_distill.data import corruptions

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import datasets

Corruption = corruptions.Corruption
Shift = corruptions.Shift


def photographs():
  """Returns scikit-learn's picture of a temple in tiles, uint8 [24,32,32,3]."""
  image = Image.fromarray(datasets.load_sample_image('china.jpg'))
  pixels = np.asarray(image.resize((192, 128)))
  return pixels.reshape(4, 32, 6, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)


def published(corruption, *constants):
  """Parametrizes a test by the shift and the constant of each severity."""
  pairs = [(Shift(corruption, s), c) for s, c in enumerate(constants, start=1)]
  return pytest.mark.parametrize('shift, c', pairs)


def test_pixelate_by_hand():
  columns = np.tile(20 * np.arange(12, dtype=np.uint8), (12, 1))
  images = np.stack([columns, columns.T, columns], axis=-1)[np.newaxis]
  coarse = corruptions.corrupt(images, Shift(Corruption.PIXELATE, 4))[0]
  # 12 pixels become int(12 * 0.75) = 9, then 12 again. Pixels 1 and 2, 5 and 6,
  # and 9 and 10 merge.
  row = [0, 30, 30, 60, 80, 110, 110, 140, 160, 190, 190, 220]
  expected = np.tile(row, (12, 1))
  np.testing.assert_array_equal(coarse[..., 0], expected)
  np.testing.assert_array_equal(coarse[..., 1], expected.T)


@published(Corruption.JPEG_COMPRESSION, 80, 65, 58, 50, 40)
def test_jpeg_against_tensorflow_s_codec(shift, c):
  images = photographs()
  for image, compressed in zip(images, corruptions.corrupt(images, shift)):
    encoded = tf.io.encode_jpeg(image, quality=c)
    decoded = tf.io.decode_jpeg(encoded, dct_method='INTEGER_ACCURATE')
    np.testing.assert_allclose(compressed.astype(int), decoded, atol=2)
