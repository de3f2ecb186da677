"""Tests of models that take PNG and JPEG files."""

import io
import zlib

from uncertainty_distill import exporting
from uncertainty_distill.data.pictures import image_decoding

import numpy as np
import pytest
import tensorflow as tf
import tiny_networks
from PIL import Image


def _encoded(image, form='PNG'):
  content = io.BytesIO()
  image.save(content, form)
  return content.getvalue()


def _picture(height, width):
  """Returns smooth stripes, which JPEG preserves."""
  rows, columns = np.mgrid[:height, :width]
  color = np.stack(
    [
      127 + 120 * np.sin(rows / 9),
      127 + 120 * np.cos(columns / 11),
      127 + 120 * np.sin((rows + columns) / 13),
    ],
    -1,
  )
  return Image.fromarray(color.astype(np.uint8))


@pytest.mark.parametrize('shape', [(90, 61), (5, 7), (32, 24)])
def test_resizes_as_pillow_does(shape):
  picture = _picture(*shape)
  got = image_decoding.decode_image(_encoded(picture), (32, 24)).numpy()
  want = np.asarray(picture.resize((24, 32), Image.BILINEAR))
  assert got.dtype == np.uint8 and got.shape == (32, 24, 3)
  # Pillow computes with integers, so its rounding can differ.
  assert np.abs(got.astype(int) - want).max() <= 1


@pytest.mark.parametrize('form', ['PNG', 'JPEG'])
def test_so_many_pixels_and_no_more(form, monkeypatch):
  monkeypatch.setattr(image_decoding, 'MAX_PIXELS', 50 * 30)
  image_decoding.decode_image(_encoded(_picture(50, 30), form), (4, 4))
  with pytest.raises(tf.errors.InvalidArgumentError):
    image_decoding.decode_image(_encoded(_picture(79, 19), form), (4, 4))


def _huge_png():
  """Returns a hundred bytes that claim to be an image of 14 GB."""
  small = _encoded(_picture(2, 2))
  header = b'IHDR' + 2 * (60000).to_bytes(4, 'big') + small[24:29]
  checksum = zlib.crc32(header).to_bytes(4, 'big')
  return small[:12] + header + checksum + small[33:]


def test_signature_takes_files_of_any_size(tmp_path):
  model = tiny_networks.build(
    image_shape=(16, 16, 3),
    num_classes=4,
    depth=10,
    width=1,
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
    ensemble_size=2,
  )
  folder = exporting.export_saved_model(model, (16, 16, 3), str(tmp_path / 'm'))
  loaded = tf.saved_model.load(folder)
  pictures = [_encoded(_picture(50, 30)), _encoded(_picture(9, 40), 'JPEG')]
  images = [image_decoding.decode_image(each, (16, 16)) for each in pictures]
  want = loaded.signatures['serving_default'](images=tf.stack(images))
  encoded = loaded.signatures['serve_encoded']
  for count in 2, 1, 0:
    files = tf.constant(pictures[:count], tf.string, shape=[count])
    got = encoded(image_bytes=files)
    assert set(got) == set(want)
    for key in set(want) - {'class_name'}:
      np.testing.assert_allclose(got[key], want[key][:count], atol=1e-5)
  other = _encoded(_picture(9, 9), 'BMP')
  cut_short = [each[: len(each) // 2] for each in pictures]
  broken = [b'no image', b'', other, _huge_png(), *cut_short]
  for each in broken:
    with pytest.raises(tf.errors.InvalidArgumentError):
      encoded(image_bytes=tf.constant([pictures[0], each]))
  again = encoded(image_bytes=tf.constant(pictures))
  np.testing.assert_array_equal(again['label'], want['label'])
