"""Predictions of image files."""

from __future__ import annotations

import collections
import dataclasses
import glob
import itertools
import os
from collections.abc import Iterator, Sequence

from uncertainty_distill.api import other_formats, predictor
from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import image_decoding
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
from PIL import Image

# Those of phones among them that Pillow reads with a plug-in alone: a file that
# cannot be read is better named than left out.
_SUFFIXES = tuple(
  f'.{suffix}'
  for suffix in (
    'png jpg jpeg jpe jfif bmp dib gif tif tiff webp avif avifs heic heif jp2 '
    'j2k j2c jpx jpf pbm pgm pnm ppm qoi tga pcx ico icns sgi rgb dds'
  ).split()
)
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class FilePrediction:
  """The prediction for one image file; see `predictor.Predictions`.

  Attributes:
    image: The path of the file.
    label: The most probable class.
    class_name: Its name.
    confidence: Its probability.
    predictive_entropy: In nats.
    expected_entropy: In nats.
    mutual_information: In nats.
    probabilities: K probabilities, the mean over the members.
    votes: The number of members that find a class most probable, by its name;
      the largest number first.
  """

  image: str
  label: int
  class_name: str
  confidence: float
  predictive_entropy: float
  expected_entropy: float
  mutual_information: float
  probabilities: tuple[float, ...]
  votes: dict[str, int]


@dataclasses.dataclass(frozen=True)
class UnreadableFile:
  """An image file that could not be read, and why."""

  image: str
  reason: str


def predict_files(
  model: predictor.Predictor, paths: Sequence[str]
) -> Iterator[FilePrediction | UnreadableFile]:
  """Yields the prediction for each image file, in order, batch by batch."""
  for start in range(0, len(paths), _BATCH):
    batch = paths[start : start + _BATCH]
    read = [read_image(path, model.image_shape[:2]) for path in batch]
    images = [image for image in read if isinstance(image, np.ndarray)]
    predictions = model.predict(
      np.array(images, np.uint8).reshape(-1, *model.image_shape)
    )
    index = itertools.count()
    for path, image in zip(batch, read):
      if isinstance(image, UnreadableFile):
        yield image
      else:
        yield _prediction(path, predictions, next(index), model.class_names)


def _prediction(path, predictions, index, class_names) -> FilePrediction:
  """Returns the prediction for one of the images, with the members' votes."""
  labels = sorted(predictions.member_probabilities[index].argmax(-1))
  return FilePrediction(
    image=path,
    label=int(predictions.label[index]),
    class_name=str(predictions.class_name[index]),
    confidence=float(predictions.confidence[index]),
    predictive_entropy=float(predictions.predictive_entropy[index]),
    expected_entropy=float(predictions.expected_entropy[index]),
    mutual_information=float(predictions.mutual_information[index]),
    probabilities=tuple(map(float, predictions.probabilities[index])),
    votes={
      class_names[label]: count
      for label, count in collections.Counter(labels).most_common()
    },
  )


def read_image(path: str, size: Sequence[int]) -> np.ndarray | UnreadableFile:
  """Reads an image as a model takes it; docs/images.md has the rule.

  Args:
    path: A file that Pillow reads.
    size: H, W.

  Returns:
    uint8 [H, W, 3], or why the file cannot be read.
  """
  reason = 'not an image, or damaged'
  try:
    content = files.read_bytes(path)
    # So the model sees what it sees when it is served.
    if not content.startswith((b'\xff\xd8\xff', b'\x89PNG')):
      content = other_formats.as_png(content)
    return image_decoding.decode_image(tf.constant(content), size).numpy()
  except InputError as error:
    reason = str(error)
  except Image.DecompressionBombError:
    reason = image_decoding.TOO_LARGE
  except (tf.errors.OpError, SyntaxError, ValueError) as error:
    if image_decoding.TOO_LARGE in str(error):
      reason = image_decoding.TOO_LARGE
  except OSError as error:
    reason = error.strerror or reason
  return UnreadableFile(path, reason)


def find_images(arguments: Sequence[str]) -> list[str]:
  """Returns the files that files, folders and glob patterns name.

  Args:
    arguments: A folder stands for the image files in it, by their names'
      endings, hidden files (`._a.jpg`) and folders left out; a pattern for the
      files it matches; in alphabetical order.

  Raises:
    InputError: If a folder or a pattern gives no file.
  """
  paths = []
  for argument in arguments:
    found = [argument]
    if files.is_folder(argument):
      found = [
        os.path.join(argument, name)
        for name in files.names(argument)
        if name.lower().endswith(_SUFFIXES) and not name.startswith('.')
      ]
      found = [path for path in found if not files.is_folder(path)]
    elif glob.has_magic(argument) and not files.is_file(argument):
      found = sorted(filter(files.is_file, glob.glob(argument)))
    if not found:
      kind = 'folder' if files.is_folder(argument) else 'pattern'
      raise InputError(
        'IMAGE',
        argument,
        'a folder or a pattern of images',
        message=f'There is no image in the {kind} {argument!r}',
      )
    paths += found
  return paths
