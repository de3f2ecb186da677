"""PNG and JPEG files as the images that a model takes."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

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
    tf.errors.InvalidArgumentError: If it is neither, or damaged.
  """
  image = tf.cond(
      tf.io.is_jpeg(encoded),
      lambda: _decode_jpeg(encoded),
      lambda: _decode_png(encoded),
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
