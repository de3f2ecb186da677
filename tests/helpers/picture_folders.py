"""Folders of small picture files."""

import numpy as np
from PIL import Image


def random_picture(seed, height=12, width=10, mode='RGB'):
  """Returns a picture of random colors."""
  pixels = np.random.RandomState(seed).randint(0, 256, [height, width, 3])
  return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def write(folder, classes, number=4, suffix='png', size=None, first=0):
  """Writes pictures, of varying sizes unless a size is given.

  Args:
    folder: The folder that gets a subfolder for each class.
    classes: The names of the classes.
    number: The number of pictures of each class.
    suffix: The ending of the files' names.
    size: The height and width of all pictures.
    first: The seed of the first picture.
  """
  for label, name in enumerate(classes):
    (folder / name).mkdir(parents=True)
    for index in range(number):
      seed = first + number * label + index
      height, width = size or (10 + seed % 5, 9 + seed % 3)
      picture = random_picture(seed, height, width)
      picture.save(folder / name / f'{index}.{suffix}')
