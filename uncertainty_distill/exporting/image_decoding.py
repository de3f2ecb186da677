"""PNG and JPEG files as the images that a model takes."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# A small file can hold a huge image, and fill a server's memory.
MAX_PIXELS = 2**26
TOO_LARGE = f'an image of more than 2^26 = {MAX_PIXELS} pixels'
_PNG = b'\x89PNG\r\n\x1a\n'
_WHITE = 255.0


def decode_image(encoded: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
  """Decodes one file and resizes it.

  Grey images become colour images of three equal channels; what is transparent
  is laid on white, as browsers show it; 16 bits become 8. Resizing is bilinear
  with antialiasing, and takes the whole image: its sides need not be in the
  model's proportion, and are stretched. An orientation noted in a JPEG's
  metadata is not applied.

  Args:
    encoded: A PNG or JPEG file, scalar string.
    size: H, W.

  Returns:
    uint8 [H, W, 3].

  Raises:
    tf.errors.InvalidArgumentError: If it is neither, damaged, or an image of
      more than `MAX_PIXELS`, which is not decoded.
  """
  is_jpeg = tf.io.is_jpeg(encoded)
  sides = tf.cond(
    is_jpeg,
    lambda: tf.io.extract_jpeg_shape(encoded, tf.int64)[:2],
    lambda: _png_sides(encoded),
  )
  small = tf.debugging.Assert(tf.reduce_prod(sides) <= MAX_PIXELS, [TOO_LARGE])
  with tf.control_dependencies([small]):
    image = tf.cond(
      is_jpeg, lambda: _decode_jpeg(encoded), lambda: _decode_png(encoded)
    )
  image = tf.image.resize(image, size, antialias=True)
  return tf.saturate_cast(tf.round(image), tf.uint8)


def decode_images(encoded: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
  """Decodes a batch: string [B] to uint8 [B, H, W, 3]; see `decode_image`."""
  return tf.map_fn(
    lambda one: decode_image(one, size),
    encoded,
    fn_output_signature=tf.TensorSpec([*size, 3], tf.uint8),
  )


def _png_sides(encoded: tf.Tensor) -> tf.Tensor:
  """Returns what a PNG file begins with, its width and height: int64 [2]."""
  # TensorFlow would decode other formats, too.
  is_png = tf.debugging.Assert(
    tf.strings.substr(encoded, 0, len(_PNG)) == _PNG, ['neither PNG nor JPEG']
  )
  with tf.control_dependencies([is_png]):
    sides = tf.strings.substr(encoded, 16, 8)
  return tf.cast(
    tf.io.decode_raw(sides, tf.int32, little_endian=False), tf.int64
  )


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
  """Returns uint8 [h, w, 3]."""
  # As other libraries decode by default; TensorFlow's default is less exact.
  return tf.io.decode_jpeg(encoded, 3, dct_method='INTEGER_ACCURATE')


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
  """Returns uint8 [h, w, 3], the image on white."""
  colour, alpha = tf.split(tf.io.decode_png(encoded, channels=4), [3, 1], -1)
  cover = tf.cast(alpha, tf.float32) / 255.0
  mixed = tf.cast(colour, tf.float32) * cover + _WHITE * (1.0 - cover)
  return tf.cast(tf.round(mixed), tf.uint8)
