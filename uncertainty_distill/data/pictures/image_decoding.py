"""Decodes PNG and JPEG files to the images that a model takes."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.data.pictures import image_orientation

import tensorflow as tf

# A small file can hold a huge image, which would fill a server's memory.
MAX_PIXELS = 2**26
TOO_LARGE = f'an image of more than 2^26 = {MAX_PIXELS} pixels'
_WHITE = 255.0
# The positions and the marks that identify files of other formats.
_OTHER_FORMATS = (
  (0, b'GIF8', 'GIF'),
  (0, b'BM', 'BMP'),
  (0, b'II*\0', 'TIFF'),
  (0, b'MM\0*', 'TIFF'),
  (8, b'WEBP', 'WebP'),
  (4, b'ftypavi', 'AVIF'),
  (4, b'ftyphei', 'HEIC'),
  (4, b'jP  ', 'JPEG 2000'),
)


def decode_image(
  encoded: tf.Tensor, size: Sequence[int], fit: str = 'resize'
) -> tf.Tensor:
  """Decodes one file and resizes it; docs/images.md has the rule.

  Args:
    encoded: A PNG or JPEG file, scalar string.
    size: H, W; () to keep the size of the image.
    fit: `resize` stretches the whole picture, `crop` takes the
      largest middle part of the right proportions, `pad` keeps the proportions
      and adds black on two sides.

  Returns:
    uint8 [H, W, 3].

  Raises:
    tf.errors.InvalidArgumentError: If the file is neither PNG nor JPEG, if it
      is damaged, or if the image has more than `MAX_PIXELS` pixels. An image
      that is too large is not decoded.
  """
  content = tf.io.decode_raw(encoded, tf.uint8)
  is_jpeg = tf.io.is_jpeg(encoded)
  known = tf.debugging.Assert(
    # TensorFlow would decode other formats, too.
    is_jpeg | image_orientation.has_text(content, 1, b'PNG\r\n\x1a\n'),
    ['image_bytes must hold PNG or JPEG files, not', _format(content)],
  )
  with tf.control_dependencies([known]):
    sides = tf.cond(
      is_jpeg,
      lambda: tf.io.extract_jpeg_shape(encoded, tf.int64)[:2],
      lambda: image_orientation.read_number(content, [16, 20], 4),
    )
  small = tf.debugging.Assert(tf.reduce_prod(sides) <= MAX_PIXELS, [TOO_LARGE])
  with tf.control_dependencies([small]):
    image = tf.cond(
      is_jpeg,
      lambda: _decode_jpeg(encoded, content),
      lambda: _decode_png(encoded, content),
    )
  return fit_image(image, size, fit) if size else image


def fit_image(image: tf.Tensor, size: Sequence[int], fit: str) -> tf.Tensor:
  """Resizes uint8 [h, w, 3] to uint8 [H, W, 3]; see `decode_image`."""
  height, width = size
  sides = tf.cast(tf.shape(image)[:2], tf.float32)
  # The factors by which the sides shrink.
  factors = sides / tf.constant([height, width], tf.float32)
  inner = tf.constant([height, width])
  if fit == 'crop':
    kept = _at_least_1(tf.reduce_min(factors) * [height, width])
    first = (tf.shape(image)[:2] - kept) // 2
    image = tf.slice(image, [*tf.unstack(first), 0], [*tf.unstack(kept), 3])
  elif fit == 'pad':
    inner = _at_least_1(sides / tf.reduce_max(factors))
  image = tf.image.resize(image, inner, antialias=True)
  image = tf.saturate_cast(tf.round(image), tf.uint8)
  if fit == 'pad':
    first = tf.unstack((tf.constant([height, width]) - inner) // 2)
    image = tf.image.pad_to_bounding_box(image, *first, height, width)
  return tf.ensure_shape(image, [height, width, 3])


def _at_least_1(sides: tf.Tensor) -> tf.Tensor:
  """Returns sides in whole pixels, at least 1."""
  return tf.maximum(tf.cast(tf.round(sides), tf.int32), 1)


def decode_images(
  encoded: tf.Tensor, size: Sequence[int], fit: str = 'resize'
) -> tf.Tensor:
  """Decodes a batch: string [B] to uint8 [B, H, W, 3]; see `decode_image`."""
  return tf.map_fn(
    lambda one: decode_image(one, size, fit),
    encoded,
    fn_output_signature=tf.TensorSpec([*size, 3], tf.uint8),
  )


def _format(content: tf.Tensor) -> tf.Tensor:
  """Returns the apparent format of a file, for an error message."""
  name = tf.constant('other files')
  for at, start, other in _OTHER_FORMATS:
    found = image_orientation.has_text(content, at, start)
    name = tf.where(found, other, name)
  return name


def _decode_jpeg(encoded: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
  """Returns uint8 [h, w, 3]."""
  # Other libraries use this by default. TensorFlow's default is less exact.
  image = tf.io.decode_jpeg(encoded, 3, dct_method='INTEGER_ACCURATE')
  return image_orientation.turn(image, image_orientation.of_jpeg(content))


def _decode_png(encoded: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
  """Returns uint8 [h, w, 3], the image on a white background."""
  orientation, has_transparency = image_orientation.of_png(content)
  color, alpha = tf.split(tf.io.decode_png(encoded, channels=4), [3, 1], -1)
  # If a file has no alpha, TensorFlow fills in 2^bits - 1, which is opaque with
  # 8 bits and nearly transparent with fewer. With fewer bits, only a chunk tRNS
  # gives a file an alpha.
  is_shallow = image_orientation.read_number(content, 24, 1) < 8
  opaque = tf.ones_like(alpha) * 255
  alpha = tf.where(is_shallow & tf.logical_not(has_transparency), opaque, alpha)
  cover = tf.cast(alpha, tf.float32) / 255.0
  mixed = tf.cast(color, tf.float32) * cover + _WHITE * (1.0 - cover)
  image = tf.cast(tf.round(mixed), tf.uint8)
  return image_orientation.turn(image, orientation)
