"""Examples to fit a temperature to, which no model has been trained on."""

from __future__ import annotations

import os
from collections.abc import Sequence

from uncertainty_distill import data, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives

import numpy as np


def examples(
  paths: Sequence[str],
  ensemble: trained.Ensemble,
  file: str,
  test_set: data.ImageDataset | None,
) -> tuple[np.ndarray, np.ndarray, str]:
  """Returns what a temperature may be fitted to.

  Args:
    paths: Run folders, or SavedModels.
    ensemble: They, loaded.
    file: An `.npz`; empty for the training examples that the runs held out.
    test_set: Test images, which must not be in the file; None if not at hand.

  Returns:
    Images uint8 [N, H, W, C], labels [N], and which examples these are.

  Raises:
    InputError: If the file is not as described or has test images in it, or if
      not every run held the same examples out.
  """
  if not file:
    held_out = _held_out(paths)
    return (
      held_out.images,
      held_out.labels,
      ('training examples that training left out'),
    )
  images, labels = _read(file, ensemble)
  if test_set:
    known = {image.tobytes() for image in test_set.images}
    shared = sum(image.tobytes() in known for image in images)
    if shared:
      raise InputError(
        'calibration_file',
        file,
        'no images of the test set',
        f'{shared} are: figures on the test set would no longer be fair',
      )
  return images, labels, f'`{os.path.basename(file)}`'


def _held_out(paths):
  """Returns the training examples that all runs left out."""
  parts = []
  for path in paths:
    if not runs.is_run(path):
      parts.append(None)
      continue
    given = runs.open_run(path, 'path').config.task.train_data
    parts.append(
      (
        given.name,
        given.data_dir,
        tuple(given.classes),
        given.num_examples,
        given.held_out_fraction,
      )
    )
  if None in parts or len(set(parts)) > 1 or not parts[0][-1]:
    raise InputError(
      'fit_temperature',
      'fit',
      'runs that held out the same training examples '
      '(task.train_data.held_out_fraction), or a `calibration_file`',
    )
  name, data_dir, classes, num_examples, _ = parts[0]
  dataset = data.load_dataset(name, 'train', data_dir, classes)
  number = given.num_held_out(len(dataset.labels))
  return data.hold_out(dataset.take(num_examples), number)[1]


def _read(file, ensemble):
  """Returns a calibration file's images and labels, checked."""
  height, width, channels = ensemble.image_shape
  wants = (
    f'an .npz with images, uint8 [N, {height}, {width}, {channels}], and '
    f'labels, integers [N] of 0 to {ensemble.num_classes - 1}'
  )
  try:
    arrays = archives.read_arrays(file)
    images, labels = arrays['images'], arrays['labels']
  except KeyError as error:
    raise InputError(
      'calibration_file', file, wants, f'it lacks {error}'
    ) from error
  except (OSError, ValueError) as error:
    raise InputError(
      'calibration_file', file, wants, archives.why(error)
    ) from error
  if (
    images.dtype != np.uint8
    or images.shape[1:] != tuple(ensemble.image_shape)
    or labels.shape != images.shape[:1]
    or not np.issubdtype(labels.dtype, np.integer)
    or not len(labels)
    or labels.min() < 0
    or labels.max() >= ensemble.num_classes
  ):
    got = f'{images.dtype} {list(images.shape)}, {labels.dtype} {labels.shape}'
    raise InputError('calibration_file', f'{file}: {got}', wants)
  return images, labels
