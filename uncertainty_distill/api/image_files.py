"""Predictions of image files."""

from __future__ import annotations

import collections
import dataclasses
import glob
import itertools
import os
from collections.abc import Iterator, Sequence

from uncertainty_distill.api import predictor
from uncertainty_distill.data import pictures
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class FilePrediction:
  """The prediction for one image file; see `predictor.Predictions`.

  Attributes:
    image: The path of the file.
    label: The most probable class.
    class_name: The name of this class.
    confidence: The probability of this class.
    predictive_entropy: The predictive entropy, in nats.
    expected_entropy: The mean of the members' entropies, in nats.
    mutual_information: The mutual information, in nats.
    probabilities: K probabilities, the mean over the members.
    votes: From the name of a class to the number of members that find this
      class most probable; the largest number first.
    prediction_set: The names of the classes in the prediction set, the most
      probable one first; None unless the model was exported with such sets.
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
  prediction_set: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class UnreadableFile:
  """An image file that could not be read, and why."""

  image: str
  reason: str


def predict_files(
  model: predictor.Predictor, paths: Sequence[str]
) -> Iterator[FilePrediction | UnreadableFile]:
  """Yields the prediction for each image file, in order, batch by batch.

  Raises:
    InputError: If the model takes other images than [H, W, 3].
  """
  if model.image_shape[-1] != 3:
    raise InputError(
      'model', list(model.image_shape), 'a model of images [H, W, 3]'
    )
  for start in range(0, len(paths), _BATCH):
    batch = paths[start : start + _BATCH]
    size, fit = model.image_shape[:2], model.image_fit
    read = [read_image(path, size, fit) for path in batch]
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
  in_set = None
  if predictions.prediction_set is not None:
    order = (-predictions.probabilities[index]).argsort(kind='stable')
    kept = predictions.prediction_set[index]
    in_set = tuple(class_names[label] for label in order if kept[label])
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
    prediction_set=in_set,
  )


def read_image(
  path: str, size: Sequence[int], fit: str = 'resize'
) -> np.ndarray | UnreadableFile:
  """Reads an image as a model takes it; docs/images.md has the rule.

  Args:
    path: A file that Pillow reads.
    size: H, W.
    fit: How the image gets this size: `resize`, `crop` or `pad`.

  Returns:
    uint8 [H, W, 3], or the reason why the file cannot be read.
  """
  try:
    return pictures.read_picture(path, size, fit)
  except pictures.UnreadableError as error:
    return UnreadableFile(path, str(error))


def find_images(arguments: Sequence[str]) -> list[str]:
  """Returns the files that a user names by files, folders and glob patterns.

  Args:
    arguments: Files, folders and patterns. A folder stands for the image files
      in it, known by the endings of their names, without hidden files
      (`._a.jpg`) and folders. A pattern stands for the files that it matches.
      Both give their files in alphabetical order.

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
        if pictures.is_picture(name)
      ]
      found = [path for path in found if not files.is_folder(path)]
    elif glob.has_magic(argument) and not files.is_file(argument):
      found = sorted(filter(files.is_file, files.matching(argument)))
    if not found:
      kind = 'folder' if files.is_folder(argument) else 'pattern'
      raise InputError(
        'IMAGE',
        argument,
        'a folder or pattern that contains images',
        message=f'the {kind} {argument!r} contains no images',
      )
    paths += found
  return paths
