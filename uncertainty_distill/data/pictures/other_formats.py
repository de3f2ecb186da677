"""Image files of other formats than PNG and JPEG, as PNG files of 8 bits.

The served model decodes PNG and JPEG alone. What Pillow reads besides becomes a
PNG here, by the rule of docs/images.md.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from uncertainty_distill.errors import InputError

import numpy as np
from PIL import Image, ImageOps

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0


def as_png(content: bytes) -> bytes:
  """Returns a file's first image as a PNG file of 8 bits, upright.

  Args:
    content: The file.

  Raises:
    InputError: If its pixels have no known scale.
    OSError: If Pillow cannot read it; SyntaxError or ValueError as well.
    Image.DecompressionBombError: If it is too large.
  """
  with Image.open(io.BytesIO(content)) as image:
    upright = ImageOps.exif_transpose(image)  # It has the pixels alone.
    tags = getattr(image, 'tag_v2', {})
    shown = _in_eight_bits(upright, image.format, tags)
  converted = io.BytesIO()
  shown.convert('RGBA').save(converted, 'PNG')
  return converted.getvalue()


def _in_eight_bits(
  image: Image.Image, form: str | None, tags: Mapping[int, Any]
) -> Image.Image:
  """Scales what has more than 8 bits, which Pillow would clip.

  Args:
    image: Of any mode.
    form: The format of its file.
    tags: Those of a TIFF file.
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
      f'integers of {pixels.min()} to {pixels.max()}',
      'integers of 0 to 255 where they have a sign or 32 bits, or 16 bits '
      'without a sign',
    )
  return Image.fromarray(pixels.astype(np.uint8))


def _from_floats(pixels: np.ndarray) -> np.ndarray:
  """Returns floats of 0 to 1, or of 0 to 255, as uint8."""
  low, high = pixels.min(), pixels.max()
  # An image of 0 to 255 that stays below 2 would be black.
  if not (low >= 0 and (high <= 1 or 2 <= high <= 255)):
    raise InputError(
      'pixels', f'floats of {low:g} to {high:g}', 'floats of 0 to 1, or to 255'
    )
  return np.round(pixels * 255 if high <= 1 else pixels).astype(np.uint8)
