"""Measures how many 32x32 images per second each corruption makes on one core.

  python benchmarks/corruptions.py

Rates are by CPU time, which other programs on the machine disturb less than
wall-clock time. The total is for 15 corruptions, 5 severities and 10,000
images, as `make_corrupted.py` makes them.
"""

from __future__ import annotations

import argparse
import time

from uncertainty_distill.data import corruptions

import cv2
import numpy as np

_TEST_SET = 10_000


def seconds_per_image(images: np.ndarray, shift: corruptions.Shift) -> float:
  """Returns the CPU time that a shift takes per image [H,W,3]."""
  corruptions.corrupt(images[:1], shift)  # Makes what is made once and kept.
  start = time.process_time()
  corruptions.corrupt(images, shift)
  return (time.process_time() - start) / len(images)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--images', type=int, default=1000, help='for each shift')
  arguments = parser.parse_args()
  cv2.setNumThreads(1)
  # Smooth, as photographs are: JPEG takes longer for noise.
  rng = np.random.default_rng(0)
  coarse = rng.integers(0, 256, (arguments.images, 8, 8, 3), dtype=np.uint8)
  images = np.stack(
    [
      cv2.resize(image, (32, 32), interpolation=cv2.INTER_CUBIC)
      for image in coarse
    ]
  )
  print(f'{"corruption":20s} images/s, severities 1 to 5           all')
  total = 0.0
  for kind in corruptions.Corruption:
    seconds = [
      seconds_per_image(images, shift) for shift in corruptions.shifts([kind])
    ]
    rates = ' '.join(f'{1 / s:7.0f}' for s in seconds)
    print(f'{kind.value:20s} {rates} {1 / np.mean(seconds):7.0f}', flush=True)
    if kind in corruptions.STANDARD:
      total += sum(seconds) * _TEST_SET
  print(f'The 15 standard ones of {_TEST_SET} images: {total:.0f} core-seconds')


if __name__ == '__main__':
  main()
