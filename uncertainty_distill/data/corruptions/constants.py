"""The published constants of CIFAR-10-C and of ImageNet-C.

`constants.json` holds the constants of each corruption, severity 1 first.
Lengths are in pixels of images whose sides have `side` pixels. The function
that uses the constants says what they are.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Sequence
from typing import Any

from uncertainty_distill import errors, ranges

CIFAR_C, IMAGENET_C = BENCHMARKS = ranges.BENCHMARKS
# From this length of the shorter side on, images are taken for photographs.
_LARGE = 64


def choose_benchmark(benchmark: str, image_shape: Sequence[int]) -> str:
  """Returns the benchmark whose constants fit images.

  Args:
    benchmark: One of `BENCHMARKS`; empty for `cifar_c` if a side has fewer
      than 64 pixels, and `imagenet_c` otherwise.
    image_shape: H, W, C.

  Raises:
    InputError: If there is no such benchmark.
  """
  if not benchmark:
    return CIFAR_C if min(image_shape[:2]) < _LARGE else IMAGENET_C
  check(benchmark)
  return benchmark


def check(benchmark: str) -> None:
  """Raises an InputError unless there is such a benchmark."""
  if benchmark not in BENCHMARKS:
    raise errors.InputError(
      'benchmark', benchmark, 'one of ' + ', '.join(BENCHMARKS)
    )


def read(name: str, severity: int, benchmark: str) -> Any:
  """Returns the constants of a corruption at a severity: a number or a list."""
  return _tables()[benchmark][name][severity - 1]


def side(benchmark: str) -> int:
  """Returns the side of the images that lengths in pixels are meant for."""
  return _tables()[benchmark]['side']


@functools.cache
def _tables() -> dict[str, dict[str, Any]]:
  folder = importlib.resources.files('uncertainty_distill.data.corruptions')
  return json.loads((folder / 'constants.json').read_text('utf-8'))
