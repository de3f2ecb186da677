"""Converts image files of formats other than PNG and JPEG to 8-bit PNG files.

The served model decodes only PNG and JPEG. Every other format that Pillow reads
becomes a PNG here, by the rule in docs/images.md.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import Any

from uncertainty_distill.errors import InputError

import numpy as np
from PIL import Image, ImageOps

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0


def as_png(content: bytes) -> bytes:
  """Returns a file's first image as an 8-bit PNG file, turned upright.

  Args:
    content: The content of the file.

  Raises:
    InputError: If the scale of the pixels is not known.
    OSError: If Pillow cannot read the file. Pillow also raises SyntaxError or
      ValueError for this.
    Image.DecompressionBombError: If the image is too large.
  """
  with Image.open(io.BytesIO(content), formats=_formats()) as image:
    upright = ImageOps.exif_transpose(image)  # Has no format or tags.
    tags = getattr(image, 'tag_v2', {})
    shown = _in_eight_bits(upright, image.format, tags)
  converted = io.BytesIO()
  shown.convert('RGBA').save(converted, 'PNG')
  return converted.getvalue()


@functools.cache
def _formats() -> list[str]:
  """Returns Pillow's formats without those that are programs or need one."""
  Image.init()
  return [name for name in Image.OPEN if name not in ('EPS', 'WMF')]


def _in_eight_bits(
  image: Image.Image, form: str | None, tags: Mapping[int, Any]
) -> Image.Image:
  """Scales images of more than 8 bits, which Pillow would clip.

  Args:
    image: An image of any mode.
    form: The format of its file.
    tags: The tags of a TIFF file; empty for other formats.
  """
  if not image.mode.startswith(('I', 'F')):
    return image
  pixels = np.asarray(image)
  if image.mode == 'F':
    return Image.fromarray(_from_floats(pixels))
  if image.mode.startswith('I;') or form == 'PPM':
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    pixels = pixels >> (bits - 8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
      pixels = 255 - pixels
  elif pixels.min() < 0 or pixels.max() > 255:
    raise InputError(
      'pixels',
      f'integers from {pixels.min()} to {pixels.max()}',
      'integers from 0 to 255, or unsigned 16-bit integers',
    )
  return Image.fromarray(pixels.astype(np.uint8))


def _from_floats(pixels: np.ndarray) -> np.ndarray:
  """Returns floats of 0 to 1, or of 0 to 255, as uint8."""
  low, high = pixels.min(), pixels.max()
  # An image of 0 to 255 whose values stay below 2 would be black.
  if not (low >= 0 and (high <= 1 or 2 <= high <= 255)):
    raise InputError(
      'pixels',
      f'floats from {low:g} to {high:g}',
      'floats from 0 to 1, or from 0 to 255',
    )
  return np.round(pixels * 255 if high <= 1 else pixels).astype(np.uint8)
