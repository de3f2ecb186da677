"""The published photographs of frosted windows.

The package `torch-uncertainty-assets` ships them. Its files 3 and 4 are the
published files 4 and 5, byte for byte. Its files 1 and 2 are JPEG, and were
published as PNG, which changes a level by 3 to 4 on average. The published
files 2 and 3 hold the same photograph, and the sixth published file (the
package's fifth) is never drawn.
"""

from __future__ import annotations

import functools
import importlib.resources
import importlib.util

from uncertainty_distill import errors
from uncertainty_distill.data.corruptions import constants

import cv2
import numpy as np

_PACKAGE = 'torch_uncertainty_assets'
# The package's number of each published photograph, 1 to 5.
_NUMBERS = (1, 2, 2, 3, 4)
# The factors that shrink the photographs for the images of each benchmark.
_SCALES = {constants.CIFAR_C: 0.2, constants.IMAGENET_C: 1.0}


def check_installed() -> None:
  """Raises an InputError if the package with the photographs is missing."""
  if importlib.util.find_spec(_PACKAGE) is None:
    raise errors.InputError(
      'frost',
      'photographs',
      'texture unless the package torch-uncertainty-assets is installed',
      'install it with pip',
    )


@functools.lru_cache(maxsize=2)
def photographs(
  side: int, benchmark: str = constants.CIFAR_C
) -> list[np.ndarray]:
  """Returns the five photographs at the size that fits images.

  Args:
    side: The longer side of the images, in pixels. Photographs for 32 pixels,
      or for the 224 of ImageNet-C, have the published size; others grow with
      the image.
    benchmark: The benchmark whose scale to use.

  Returns:
    RGB uint8 [h, w, 3] each; the shortest side is 63 pixels for images of 32.
  """
  scale = _SCALES[benchmark] * side / constants.side(benchmark)
  # Linear interpolation, as published, although it skips pixels.
  return [
    cv2.resize(_read(number), None, fx=scale, fy=scale) for number in _NUMBERS
  ]


def _read(number: int) -> np.ndarray:
  """Returns a photograph as it is shipped, RGB uint8 [H, W, 3]."""
  folder = importlib.resources.files(_PACKAGE)
  encoded = (folder / 'frost' / f'frost{number}.jpg').read_bytes()
  picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  assert picture is not None
  return picture[..., ::-1]
