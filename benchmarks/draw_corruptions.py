"""Draws a CIFAR-10 test image under all corruptions and severities.

python benchmarks/draw_corruptions.py --output=docs/corruptions.png
"""

from __future__ import annotations

import argparse

from uncertainty_distill import data
from uncertainty_distill.data import corruptions

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SCALE = 2
_GAP = 2
_LABEL_WIDTH = 132
_HEADER_HEIGHT = 20
_COLUMNS = 2


def draw(image: np.ndarray, example: int) -> Image.Image:
  """Returns the picture.

  Args:
    image: uint8 [H,W,3].
    example: Its index in the test set, on which the random draws depend.
  """
  height, width = (_SCALE * side + _GAP for side in image.shape[:2])
  kinds = [None, *corruptions.Corruption]  # The clean image first.
  rows = -(-len(kinds) // _COLUMNS)
  block = _LABEL_WIDTH + width * len(corruptions.SEVERITIES)
  canvas = Image.new(
    'RGB', (_COLUMNS * block, _HEADER_HEIGHT + rows * height), 'white'
  )
  pen = ImageDraw.Draw(canvas)
  font = ImageFont.load_default(size=14)
  for number, kind in enumerate(kinds):
    left = number // rows * block
    top = _HEADER_HEIGHT + number % rows * height
    name = kind.value.replace('_', ' ') if kind else 'clean'
    pen.text((left + 8, top + height // 2), name, 'black', font, 'lm')
    left += _LABEL_WIDTH
    shifts = corruptions.shifts([kind]) if kind else [corruptions.CLEAN]
    for column, shift in enumerate(shifts):
      result = image[np.newaxis]
      if shift.corruption:
        result = corruptions.corrupt(result, shift, indices=np.array([example]))
      tile = Image.fromarray(result[0]).resize(
        (width - _GAP, height - _GAP), Image.Resampling.NEAREST
      )
      canvas.paste(tile, (left + column * width, top))
  for start in range(0, _COLUMNS * block, block):
    for column, severity in enumerate(corruptions.SEVERITIES):
      middle = start + _LABEL_WIDTH + column * width + width // 2
      place = middle, _HEADER_HEIGHT // 2
      pen.text(place, str(severity), 'black', font, 'mm')
  return canvas


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--example', type=int, default=53)
  parser.add_argument('--data_dir', default='', help='of TFDS')
  parser.add_argument('--output', required=True, help='a .png file')
  arguments = parser.parse_args()
  dataset = data.open_dataset('cifar10', arguments.data_dir).test
  picture = draw(
    dataset.numpy(np.array([arguments.example]))[0], arguments.example
  )
  # 256 colors are enough for one image, and take a third of the bytes.
  picture.quantize(256, dither=Image.Dither.NONE).save(
    arguments.output, optimize=True
  )


if __name__ == '__main__':
  main()
