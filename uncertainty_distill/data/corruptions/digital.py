"""Corruptions that result from storing an image in less space.

Each takes images uint8 [B,H,W,C] and a severity from 1 to 5, and returns uint8
[B,H,W,C]. `constants` has the numbers of each benchmark.
"""

from __future__ import annotations

import io

from uncertainty_distill.data.corruptions import constants

import numpy as np
from PIL import Image


def pixelate(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Shrinks both sides by c and enlarges them again, by a box filter."""
  scale = constants.read('pixelate', severity, benchmark)
  height, width = images.shape[1:3]
  small = int(width * scale), int(height * scale)
  result = np.empty_like(images)
  for image, pixelated in zip(images, result, strict=True):
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    pixelated[...] = shrunk.resize((width, height), Image.Resampling.BOX)
  return result


def jpeg_compression(
  images: np.ndarray, severity: int, benchmark: str = constants.CIFAR_C
) -> np.ndarray:
  """Encodes as JPEG at quality c, chroma subsampled 4:2:0, and decodes."""
  quality = constants.read('jpeg_compression', severity, benchmark)
  result = np.empty_like(images)
  for image, decoded in zip(images, result, strict=True):
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, 'JPEG', quality=quality)
    decoded[...] = Image.open(encoded)
  return result
