"""Reads single picture files of every format that Pillow reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from uncertainty_distill.data.pictures import image_decoding, other_formats
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
from PIL import Image

# They include formats of phones that Pillow reads only with a plug-in: it is
# better to report a file that cannot be read than to leave it out.
_SUFFIXES = tuple(
  f'.{suffix}'
  for suffix in (
    'png jpg jpeg jpe jfif bmp dib gif tif tiff webp avif avifs heic heif jp2 '
    'j2k j2c jpx jpf pbm pgm pnm ppm qoi tga pcx ico icns sgi rgb dds'
  ).split()
)


class UnreadableError(ValueError):
  """A file is not a picture, or is damaged; the message says why."""


def is_picture(name: str) -> bool:
  """Returns whether a file name is that of a picture that is not hidden."""
  return name.lower().endswith(_SUFFIXES) and not name.startswith('.')


def read_picture(
  path: str, size: Sequence[int], fit: str = 'resize'
) -> np.ndarray:
  """Reads a picture as a model takes it; docs/images.md has the rule.

  Args:
    path: A file that Pillow reads.
    size: H, W; () to keep the size of the picture.
    fit: See `image_decoding.decode_image`.

  Returns:
    uint8 [H, W, 3].

  Raises:
    UnreadableError: If the file cannot be read.
  """
  return decode_content(read_content(path), size, fit)


def read_content(path: str) -> bytes:
  """Returns the content of a file, or raises an UnreadableError."""
  try:
    return files.read_bytes(path)
  except OSError as error:
    raise UnreadableError(error.strerror or 'it cannot be read') from error


def is_decoded_in_graphs(content: bytes) -> bool:
  """Returns whether a file is PNG or JPEG, which need no Python to decode."""
  return content.startswith((b'\xff\xd8\xff', b'\x89PNG'))


def as_served(content: bytes) -> bytes:
  """Returns PNG and JPEG files as they are, and other files as PNG.

  So a model gets the same images as when it is served.
  """
  return (
    content if is_decoded_in_graphs(content) else other_formats.as_png(content)
  )


def decode_content(
  content: bytes, size: Sequence[int], fit: str = 'resize'
) -> np.ndarray:
  """Decodes the content of a file; see `read_picture`."""
  try:
    return decoder(tuple(size), fit)(tf.constant(as_served(content))).numpy()
  except InputError as error:
    raise UnreadableError(str(error)) from error
  except Image.DecompressionBombError as error:
    raise UnreadableError(image_decoding.TOO_LARGE) from error
  except (
    *(tf.errors.OpError, OSError, SyntaxError, ValueError),
    RuntimeError,  # Of the decoder of AVIF.
  ) as error:
    raise UnreadableError(
      image_decoding.TOO_LARGE
      if image_decoding.TOO_LARGE in str(error)
      else 'not an image, or damaged'
    ) from error


@functools.lru_cache(maxsize=8)
def decoder(size: tuple[int, ...], fit: str) -> Callable:
  """Returns `image_decoding.decode_image` as a graph.

  Two threads that build the graph at the same time can deadlock.
  """
  return tf.function(
    lambda encoded: image_decoding.decode_image(encoded, size, fit),
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
  ).get_concrete_function()
