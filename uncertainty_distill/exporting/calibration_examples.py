"""Loads examples to calibrate a model on, which no model was trained on."""

from __future__ import annotations

import contextlib
import logging
import os

from uncertainty_distill import data, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives

import numpy as np

_logger = logging.getLogger(__name__)

_CHUNK = 1024
_MOST_SHARED = 0.05


def load(
  model: trained.TrainedModel,
  file: str,
  test_set: data.ImageSource | None,
  wanted: tuple[str, str] = ('fit_temperature', 'fit'),
) -> tuple[data.ImageSource, str]:
  """Loads the examples to calibrate a model on.

  Args:
    model: The model to calibrate.
    file: An `.npz` of `images` and `labels`; empty for the training examples
      that the runs held out.
    test_set: Test images, which must not be in the file; None if unavailable.
      Without test images, training images in the file are not noticed either.
    wanted: The name and the value of the parameter that asks for the examples,
      for error messages.

  Returns:
    N labeled images, and a description of them.

  Raises:
    InputError: If the file is not as described; if it has test images in it; if
      more than 5% of its images are training images of a run; or if not every
      run held out the same examples.
  """
  if not file:
    return _held_out(model, *wanted), 'training examples that training held out'
  images, labels = _read(file, model)
  if test_set:
    shared = _count_shared(images, test_set)
    if shared:
      raise InputError(
        'calibration_file',
        file,
        'images that are not in the test set',
        f'{shared} of {len(images)} images are in the test set, and metrics '
        'on the test set would no longer be fair',
      )
    _check_training_images(images, file, model)
  else:
    _logger.warning(
      f'{file} is not compared with training and test images, since the '
      'dataset of the model is not known here'
    )
  # The mean and the standard deviation of the training images are unknown, so
  # those of the calibration images are used.
  counts = data.LevelCounts()
  counts.add(images)
  mean, stddev = counts.moments()
  spec = data.DatasetSpec(
    name=file,
    image_shape=tuple(model.image_shape),  # pyright: ignore[reportArgumentType]
    class_names=tuple(model.class_names),
    mean=mean,
    stddev=tuple(max(value, 1 / 255) for value in stddev),
  )
  source = data.ArraySource(spec, images, labels)
  return source, f'`{os.path.basename(file)}`'


def _check_training_images(
  images: np.ndarray, file: str, model: trained.TrainedModel
) -> None:
  """Raises an InputError if a model was trained on more than 5% of the images.

  A smaller share only causes a warning: in any collection, a few images may
  occur twice.
  """
  seen = []
  for part in trained.with_initial_networks(model):
    train_data = part.config and part.config.task.train_data
    if train_data is None or train_data in seen:
      continue
    seen.append(train_data)
    try:
      sources = _shown(train_data)
    except InputError as error:
      # The dataset of an initial network may be gone.
      if part in model.parts:
        raise
      _logger.warning(
        f'{file} is not compared with the training images of {part.paths[0]}: '
        f'{error}'
      )
      continue
    shared = _count_shared(images, *sources)
    text = (
      f'{shared} of {len(images)} images are in the training set, on which '
      'any model is overconfident'
    )
    if shared > _MOST_SHARED * len(images):
      raise InputError(
        'calibration_file', file, 'images that no model was trained on', text
      )
    if shared:
      _logger.warning(f'{file}: {text}')


def _shown(train_data) -> list[data.ImageSource]:
  """Returns the images that training shows, as far as they are there.

  Raises:
    InputError: If those with labels are not.
  """
  if train_data.name.startswith('tfds:'):
    data.check_prepared(train_data.name, train_data.data_dir)
  dataset = data.open_configured(train_data)
  sources: list[data.ImageSource] = [data.open_training(dataset, train_data)[0]]
  with contextlib.suppress(InputError):
    unlabeled = data.open_unlabeled(dataset, train_data)
    sources += [unlabeled] if unlabeled else []
  return sources


def _count_shared(images: np.ndarray, *sources: data.ImageSource) -> int:
  """Returns how many of the images are also in one of the sources."""
  known = {image.tobytes() for image in images}
  found = set()
  for source in sources:
    for start in range(0, len(source), _CHUNK):
      chunk = source.numpy(slice(start, start + _CHUNK))
      found |= known.intersection(image.tobytes() for image in chunk)
  return sum(image.tobytes() in found for image in images)


def _held_out(model, name, value):
  """Returns the training examples that all runs held out."""
  given = [part.config.task.train_data for part in model.parts if part.config]
  if (
    len(given) < len(model.parts)
    or len(set(map(_what_is_held_out, given))) > 1
    or not given[0].held_out_fraction
  ):
    raise _not_held_out(name, value)
  dataset = model.dataset
  held_out = data.open_training(dataset, given[0])[1]
  learned = trained.learned_rows(model, dataset, given[0])
  if len(np.intersect1d(learned, held_out.rows)):
    raise _not_held_out(name, value)
  marks = {'training data': dataset.train.fingerprint}
  for part in model.parts:
    if isinstance(part, trained.Run) and runs.different_data(part.run, marks):
      raise InputError(
        name,
        value,
        'left out unless the training data of all runs are unchanged',
        message=f'`{name}` needs examples that no model was trained on, but '
        f'{dataset.spec.name} has changed since {part.run.path} was trained: '
        'set `calibration_file`, or restore the old data',
      )
  return held_out


def _not_held_out(name, value):
  return InputError(
    name,
    value,
    'left out unless all runs, and those that their weights started from, held '
    'out the same training examples',
    message=f'`{name}` needs examples that no model was trained on: '
    'set `calibration_file`, or train all runs, and those that their weights '
    'start from, with the same task.train_data.held_out_fraction above 0',
  )


def _what_is_held_out(train_data):
  """Returns the values that decide which examples a run holds out."""
  return (
    train_data.name,
    train_data.data_dir,
    tuple(train_data.classes),
    train_data.num_examples,
    train_data.held_out_fraction,
    train_data.test_from_training,
    train_data.test_fraction,
    train_data.train_split,
  )


def _read(file, model):
  """Reads and checks a calibration file; returns its images and labels."""
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
