"""Examples to fit a temperature to, which no model has been trained on."""

from __future__ import annotations

import os

from uncertainty_distill import data, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives

import numpy as np


def load(
  model: trained.TrainedModel, file: str, test_set: data.ImageSource | None
) -> tuple[np.ndarray, np.ndarray, str]:
  """Loads the examples to fit a model's temperature to.

  Args:
    model: The model.
    file: An `.npz`; empty for the training examples that the runs held out.
    test_set: Test images, which must not be in the file; None if unavailable.

  Returns:
    Images uint8 [N, H, W, C], labels [N], and which examples these are.

  Raises:
    InputError: If the file is not as described or has test images in it, or if
      not every run held out the same examples.
  """
  if not file:
    held_out = _held_out(model)
    return (
      held_out.numpy(slice(None)),
      held_out.labels,
      'training examples that training held out',
    )
  images, labels = _read(file, model)
  if test_set:
    known = {image.tobytes() for image in test_set.numpy(slice(None))}
    shared = sum(image.tobytes() in known for image in images)
    if shared:
      raise InputError(
        'calibration_file',
        file,
        'images that are not in the test set',
        f'{shared} of {len(images)} are in it, and metrics on it would no '
        'longer be fair',
      )
  return images, labels, f'`{os.path.basename(file)}`'


def _held_out(model):
  """Returns the training examples that all runs held out."""
  given = [part.config.task.train_data for part in model.parts if part.config]
  held_out = {
    (x.name, x.data_dir, tuple(x.classes), x.num_examples, x.held_out_fraction)
    for x in given
  }
  if (
    len(given) < len(model.parts)
    or len(held_out) > 1
    or not given[0].held_out_fraction
  ):
    raise InputError(
      'fit_temperature',
      'fit',
      'left out, or runs that held out the same training examples',
      message='`fit_temperature` needs examples that no model was trained on: '
      'set `calibration_file`, or train all runs with the same '
      'task.train_data.held_out_fraction above 0',
    )
  dataset = model.dataset
  marks = {'training data': dataset.train.fingerprint}
  for part in model.parts:
    if isinstance(part, trained.Run) and runs.different_data(part.run, marks):
      raise InputError(
        'fit_temperature',
        'fit',
        'left out, or runs whose training data are as they were',
        message='`fit_temperature` needs examples that no model was trained '
        f'on, but {dataset.spec.name} has changed since {part.run.path} was '
        'trained: set `calibration_file`, or bring the old data back',
      )
  return data.open_training(dataset, given[0])[1]


def _read(file, model):
  """Returns a calibration file's images and labels, checked."""
  height, width, channels = model.image_shape
  expected = (
    f'an .npz with images, uint8 [N, {height}, {width}, {channels}], and '
    f'labels, integers [N] of 0 to {model.num_classes - 1}'
  )
  try:
    arrays = archives.read_arrays(file)
    images, labels = arrays['images'], arrays['labels']
  except KeyError as error:
    raise InputError(
      'calibration_file', file, expected, f'it has no {error}'
    ) from error
  except (OSError, ValueError) as error:
    raise InputError(
      'calibration_file', file, expected, archives.reason(error)
    ) from error
  if (
    images.dtype != np.uint8
    or images.shape[1:] != tuple(model.image_shape)
    or labels.shape != images.shape[:1]
    or not np.issubdtype(labels.dtype, np.integer)
    or not len(labels)
    or labels.min() < 0
    or labels.max() >= model.num_classes
  ):
    raise InputError(
      'calibration_file',
      file,
      expected,
      f'it has {images.dtype} {list(images.shape)} and '
      f'{labels.dtype} {list(labels.shape)}',
    )
  return images, labels
