"""Corrupts images, each with a random stream of its own.

Each corruption is a function in the module of its family, with an entry here in
`_DETERMINISTIC` or `_RANDOM`. Only frost has an option and is called by name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from uncertainty_distill import errors
from uncertainty_distill.data.corruptions import (
  blur,
  color,
  constants,
  corruption_types,
  digital,
  elastic,
  frost_photographs,
  noise,
  spatter,
  weather,
)

import numpy as np

# Functions of images [B,H,W,3], severity and benchmark.
_DETERMINISTIC: dict[
  corruption_types.Corruption, Callable[[np.ndarray, int, str], np.ndarray]
] = {
  corruption_types.Corruption.DEFOCUS_BLUR: blur.defocus_blur,
  corruption_types.Corruption.ZOOM_BLUR: blur.zoom_blur,
  corruption_types.Corruption.BRIGHTNESS: color.brightness,
  corruption_types.Corruption.CONTRAST: color.contrast,
  corruption_types.Corruption.PIXELATE: digital.pixelate,
  corruption_types.Corruption.JPEG_COMPRESSION: digital.jpeg_compression,
  corruption_types.Corruption.GAUSSIAN_BLUR: blur.gaussian_blur,
  corruption_types.Corruption.SATURATE: color.saturate,
}

# Functions of images [B,H,W,3], severity, one generator for each image, and
# benchmark.
_RANDOM: dict[
  corruption_types.Corruption,
  Callable[[np.ndarray, int, Sequence[np.random.Generator], str], np.ndarray],
] = {
  corruption_types.Corruption.GAUSSIAN_NOISE: noise.gaussian_noise,
  corruption_types.Corruption.SHOT_NOISE: noise.shot_noise,
  corruption_types.Corruption.IMPULSE_NOISE: noise.impulse_noise,
  corruption_types.Corruption.GLASS_BLUR: blur.glass_blur,
  corruption_types.Corruption.MOTION_BLUR: blur.motion_blur,
  corruption_types.Corruption.SNOW: weather.snow,
  corruption_types.Corruption.FOG: weather.fog,
  corruption_types.Corruption.ELASTIC_TRANSFORM: elastic.elastic_transform,
  corruption_types.Corruption.SPECKLE_NOISE: noise.speckle_noise,
  corruption_types.Corruption.SPATTER: spatter.spatter,
}

# The smallest and the largest side of an image. With smaller sides, the weakest
# zoom blur has no effect. With larger sides, blurs of a pixel or two have none,
# and the matrices of other corruptions do not fit into memory.
_SIDES = 12, 512

# 4 MiB for one float64 array, or 170 images of 32x32. The half dozen arrays
# that a corruption holds at once stay in or near the caches of the processor.
_VALUES_PER_CHUNK = 2**19


def corrupt(
  images: np.ndarray,
  shift: corruption_types.Shift,
  seed: int = 0,
  indices: np.ndarray | None = None,
  frost: str = 'texture',
  benchmark: str = constants.CIFAR_C,
) -> np.ndarray:
  """Corrupts images, each independently of the others.

  The result for an image depends on the image, its index and the other
  arguments, but not on its batch, the order or the number of processes. Every
  index, severity, corruption and seed has random draws of its own. Severities
  do not share their noise in the published data either.

  The formulas are those of CIFAR-10-C and ImageNet-C (Hendrycks and
  Dietterich, 2019, "Benchmarking Neural Network Robustness to Common
  Corruptions and Perturbations"); the random draws are not the published ones.

  Args:
    images: RGB images, uint8 [N,H,W,3], with sides of 12 to 512 pixels.
    shift: The corruption and its severity.
    seed: An integer from 0 to 2^64 - 1.
    indices: The row numbers of the examples in their dataset, integers [N]; by
      default 0 to N-1.
    frost: The pictures that `frost` lays over images: `texture`, drawn by rule,
      or `photographs`, the published ones.
    benchmark: The benchmark whose constants to use, `cifar_c` or `imagenet_c`.

  Returns:
    uint8 [N,H,W,3].

  Raises:
    InputError: If an argument is not as described, or the photographs are not
      installed.
  """
  _check_images(images)
  check_seed(seed)
  check_frost(frost)
  constants.check(benchmark)
  if indices is None:
    indices = np.arange(len(images))
  result = np.empty(images.shape, np.uint8)
  step = max(1, _VALUES_PER_CHUNK // int(np.prod(images.shape[1:])))
  for start in range(0, len(images), step):
    chunk = slice(start, start + step)
    result[chunk] = _corrupt_chunk(
      images[chunk], shift, seed, indices[chunk], frost, benchmark
    )
  return result


def check_image_shape(shape: tuple[int, int, int]) -> None:
  """Raises an InputError unless images [H,W,C] of this shape can be corrupted.

  They must be RGB, with sides of 12 to 512 pixels.
  """
  least, most = _SIDES
  if shape[2] != 3 or not all(least <= side <= most for side in shape[:2]):
    raise errors.InputError(
      'images',
      tuple(shape),
      f'[H,W,3] with H and W from {least} to {most}, so that they can be '
      'corrupted',
    )


def _corrupt_chunk(
  images: np.ndarray,
  shift: corruption_types.Shift,
  seed: int,
  indices: np.ndarray,
  frost: str,
  benchmark: str,
) -> np.ndarray:
  """Returns corrupted images: uint8 [B,H,W,3], indices [B]."""
  # Pillow reads an array's memory row by row.
  images = np.ascontiguousarray(images)
  assert shift.corruption is not None
  if shift.corruption in _DETERMINISTIC:
    function = _DETERMINISTIC[shift.corruption]
    return function(images, shift.severity, benchmark)
  generators = _generators(shift, seed, indices)
  if shift.corruption is corruption_types.Corruption.FROST:
    return weather.frost(images, shift.severity, generators, frost, benchmark)
  function = _RANDOM[shift.corruption]
  return function(images, shift.severity, generators, benchmark)


def _generators(
  shift: corruption_types.Shift, seed: int, indices: np.ndarray
) -> list[np.random.Generator]:
  """Returns a generator for each example, at the start of its own stream."""
  # Philox is a function of a key and a counter, whose first word counts the
  # draws. Severity and index in the last two words give streams that never
  # meet. The checksum of the name, unlike Python's hash, is the same in every
  # process.
  assert shift.corruption is not None
  key = np.array([seed, zlib.crc32(shift.corruption.value.encode())], np.uint64)
  return [
    np.random.Generator(
      np.random.Philox(
        key=key,
        counter=np.array([0, 0, shift.severity, index], np.uint64),
      )
    )
    for index in indices
  ]


def _check_images(images: np.ndarray) -> None:
  expected = 'uint8 [N,H,W,3]'
  if not isinstance(images, np.ndarray):
    raise errors.InputError('images', type(images).__name__, expected)
  if images.dtype != np.uint8:
    raise errors.InputError('images', str(images.dtype), expected)
  if images.ndim != 4:
    raise errors.InputError('images', images.shape, expected)
  check_image_shape(images.shape[1:])


def check_seed(seed: int) -> None:
  """Raises an InputError unless a seed is from 0 to 2^64 - 1."""
  if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
    raise errors.InputError('seed', seed, 'an integer from 0 to 2^64 - 1')


def check_frost(frost: str) -> None:
  """Raises an InputError unless `frost` names pictures of ice that are here."""
  if frost not in weather.FROST_PICTURES:
    raise errors.InputError(
      'frost', frost, 'one of ' + ', '.join(weather.FROST_PICTURES)
    )
  if frost == 'photographs':
    frost_photographs.check_installed()
