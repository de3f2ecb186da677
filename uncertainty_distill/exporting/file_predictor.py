"""Predictions of image files by a SavedModel."""

from __future__ import annotations

import dataclasses
import glob
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import image_decoding as images_lib
from uncertainty_distill.exporting import saved_model
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
from PIL import Image

_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.gif', '.tif', '.tiff', '.webp')
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Prediction:
  """What a model says of one image file.

  Attributes:
    image: Its path.
    label: The most probable class.
    class_name: Its name.
    confidence: Its probability.
    predictive_entropy: Of the mean probabilities, in nats.
    expected_entropy: The members' mean one, in nats.
    mutual_information: Their difference, what the members disagree on.
    probabilities: K of them, the mean of the members'.
    votes: How many members find each class most probable, by its name; the
      largest number first.
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
class Unreadable:
  """An image file that could not be read, and why."""

  image: str
  reason: str


class FilePredictor:
  """A SavedModel of this package, for image files."""

  def __init__(self, directory: str, argument: str):
    """Loads a SavedModel.

    Args:
      directory: Its folder.
      argument: The flag that it comes from, for the message of an error.

    Raises:
      InputError: If it is none, or not one that `export_saved_model` wrote.
    """
    try:
      self._loaded = tf.saved_model.load(directory)
      self._serve = self._loaded.signatures['serving_default']
      _, arguments = self._serve.structured_input_signature
      self._size = tuple(arguments['images'].shape[1:3])
      if 'class_name' not in self._serve.structured_outputs:
        raise KeyError('class_name')
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
      raise InputError(
        argument, directory, 'a SavedModel that export.py wrote'
      ) from error
    names = os.path.join(
      directory, saved_model.EXTRA, saved_model.CLASS_NAMES_FILE
    )
    self._names = (
      files.read_text(names).splitlines() if files.is_file(names) else None
    )

  def predict(self, paths: Sequence[str]) -> Iterator[Prediction | Unreadable]:
    """Yields what is said of each file, in order, batch by batch."""
    for start in range(0, len(paths), _BATCH):
      read = [self._read(path) for path in paths[start : start + _BATCH]]
      images = [image for image in read if not isinstance(image, Unreadable)]
      answers = self._answer(images) if images else iter(())
      for path, image in zip(paths[start : start + _BATCH], read):
        if isinstance(image, Unreadable):
          yield image
        else:
          yield self._prediction(path, next(answers))

  def _read(self, path):
    """Returns an image as the model takes it, uint8 [H, W, 3]."""
    try:
      encoded = _as_png_or_jpeg(files.read_bytes(path))
      return images_lib.decode_image(encoded, self._size).numpy()
    except Image.DecompressionBombError:
      return Unreadable(path, images_lib.TOO_LARGE)
    except (tf.errors.OpError, SyntaxError, ValueError) as error:
      if images_lib.TOO_LARGE in str(error):
        return Unreadable(path, images_lib.TOO_LARGE)
      return Unreadable(path, 'not an image, or damaged')
    except OSError as error:
      return Unreadable(path, error.strerror or 'not an image, or damaged')

  def _answer(self, images):
    """Yields each image's row of the answers."""
    served = self._serve(images=tf.constant(np.stack(images)))
    rows = {key: value.numpy() for key, value in served.items()}
    for index in range(len(images)):
      yield {key: value[index] for key, value in rows.items()}

  def _prediction(self, path: str, row: dict[str, Any]) -> Prediction:
    labels = row['member_probabilities'].argmax(-1)
    classes, counts = np.unique(labels, return_counts=True)
    votes = {
      self._names[classes[i]] if self._names else str(classes[i]): int(
        counts[i]
      )
      for i in np.argsort(-counts, kind='stable')
    }
    numbers = (
      'confidence',
      'predictive_entropy',
      'expected_entropy',
      'mutual_information',
    )
    return Prediction(
      image=path,
      label=int(row['label']),
      class_name=row['class_name'].decode(),
      votes=votes,
      probabilities=tuple(map(float, row['probabilities'])),
      **{name: float(row[name]) for name in numbers},
    )


def find_images(arguments: Sequence[str]) -> list[str]:
  """Returns the files that files, folders and glob patterns name.

  Args:
    arguments: A folder stands for the image files in it, by their names'
      endings; a pattern for the files it matches; in alphabetical order.

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
        if name.lower().endswith(_SUFFIXES)
      ]
    elif glob.has_magic(argument) and not files.is_file(argument):
      found = sorted(glob.glob(argument))
    if not found:
      raise InputError('IMAGE', argument, 'a folder or a pattern of images')
    paths += found
  return paths


def _as_png_or_jpeg(content: bytes) -> bytes:
  """Returns a file as the model's own decoder takes it.

  PNG and JPEG stay as they are, so that the model sees what it sees when it is
  served; Pillow reads the other formats.
  """
  if content.startswith((b'\xff\xd8\xff', b'\x89PNG')):
    return content
  converted = io.BytesIO()
  with Image.open(io.BytesIO(content)) as image:
    image.convert('RGBA').save(converted, 'PNG')
  return converted.getvalue()
