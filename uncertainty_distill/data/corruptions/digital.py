"""Corruptions that result from storing an image in less space.

Each takes images uint8 [B,H,W,C] and a severity from 1 to 5, and returns uint8
[B,H,W,C]. The constants are those of CIFAR-10-C, severity 1 first.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

_PIXELATE_SCALES = (0.95, 0.9, 0.85, 0.75, 0.65)
_JPEG_QUALITIES = (80, 65, 58, 50, 40)


def pixelate(images: np.ndarray, severity: int) -> np.ndarray:
  """Shrinks both sides by c and enlarges them again, by a box filter."""
  scale = _PIXELATE_SCALES[severity - 1]
  height, width = images.shape[1:3]
  small = int(width * scale), int(height * scale)
  result = np.empty_like(images)
  for image, pixelated in zip(images, result, strict=True):
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    pixelated[...] = shrunk.resize((width, height), Image.Resampling.BOX)
  return result


def jpeg_compression(images: np.ndarray, severity: int) -> np.ndarray:
  """Encodes as JPEG at quality c, chroma subsampled 4:2:0, and decodes."""
  quality = _JPEG_QUALITIES[severity - 1]
  result = np.empty_like(images)
  for image, decoded in zip(images, result, strict=True):
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, 'JPEG', quality=quality)
    decoded[...] = Image.open(encoded)
  return result
