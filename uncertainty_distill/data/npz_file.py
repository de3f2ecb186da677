"""Datasets in the user's own `.npz` files.

A file holds the arrays `train_images`, `train_labels`, `test_images` and
`test_labels`. Images are uint8 [N, H, W, 3] of one size, and labels are
integers [N] from 0 to K - 1. A file may also hold `class_names`, K strings.
Gray images [N, H, W] or [N, H, W, 1] get three equal channels, and labels may
be [N, 1], as in MedMNIST.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from uncertainty_distill.data import array_checks, channel_moments
from uncertainty_distill.data.image_source import DatasetSpec
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives

import numpy as np

_logger = logging.getLogger(__name__)

# The number of images whose levels are counted at once.
_CHUNK = 1024
_ARRAYS = ('train_images', 'train_labels', 'test_images', 'test_labels')


def read(path: str) -> tuple[DatasetSpec, dict[str, np.ndarray]]:
  """Reads and checks a file.

  Args:
    path: The file, local or remote.

  Returns:
    The description of its images, and its arrays by name.

  Raises:
    InputError: If the file cannot be read, or is not as the module describes.
  """
  try:
    arrays = archives.read_arrays(path)
  except (OSError, ValueError) as error:
    raise _not_a_dataset(path, archives.reason(error)) from error
  missing = [name for name in _ARRAYS if name not in arrays]
  if missing:
    found = ', '.join(sorted(arrays)) or 'nothing'
    raise _not_a_dataset(path, f'it has {found}, but no {", ".join(missing)}')
  return describe(path, arrays), arrays


def read_images(path: str, split: str, parameter: str) -> np.ndarray:
  """Reads images without labels: `images`, or those of a dataset's split.

  Args:
    path: The file, local or remote.
    split: `train` or `test`, the split of a file that holds a dataset.
    parameter: The config value that names the file, for error messages.

  Returns:
    uint8 [N, H, W, 3].

  Raises:
    InputError: If the file cannot be read, or holds no such images.
  """
  try:
    arrays = archives.read_arrays(path)
  except (OSError, ValueError) as error:
    reason = archives.reason(error)
    raise _no_images(path, split, parameter, reason) from error
  name = 'images' if 'images' in arrays else f'{split}_images'
  if name not in arrays:
    found = ', '.join(sorted(arrays)) or 'nothing'
    reason = f'it has {found}, but no images'
    raise _no_images(path, split, parameter, reason)
  images = _with_channels(arrays[name])
  _check_images(images, f'{name} of {path}')
  return images


def _no_images(path, split, parameter, reason) -> InputError:
  """Returns the error for a file without images."""
  return InputError(
    parameter,
    path,
    f'an .npz file with `images` or `{split}_images`, uint8 [N, H, W, 3]',
    message=f'{path} cannot be read as images without labels: {reason}',
  )


def describe(path: str, arrays: dict[str, np.ndarray]) -> DatasetSpec:
  """Checks the arrays of a dataset, and returns their description.

  Args:
    path: The name of the dataset.
    arrays: The arrays of the dataset, as the module describes them. Gray images
      get three channels, and labels one axis, in place.

  Raises:
    InputError: If the arrays are not as described.
  """
  for split in 'train', 'test':
    _unify(arrays, f'{split}_images', f'{split}_labels')
  shape = arrays['train_images'].shape
  for split in 'train', 'test':
    _check_split(path, split, arrays, shape)
  names = _class_names(path, arrays)
  _check_classes(path, arrays, len(names))
  counts = channel_moments.LevelCounts()
  images = arrays['train_images']
  for start in range(0, len(images), _CHUNK):
    counts.add(images[start : start + _CHUNK])
  mean, stddev = counts.moments()
  return DatasetSpec(
    name=path,
    image_shape=shape[1:],
    class_names=names,
    mean=mean,
    stddev=stddev,
  )


def _unify(arrays: dict[str, np.ndarray], images: str, labels: str) -> None:
  """Gives gray images three channels, and labels one axis, in place."""
  arrays[images] = _with_channels(arrays[images])
  if arrays[labels].shape == (*arrays[images].shape[:1], 1):
    arrays[labels] = arrays[labels][:, 0]


def _with_channels(images: np.ndarray) -> np.ndarray:
  """Returns gray images with three equal channels, and others as they are."""
  gray = images
  if gray.ndim == 3 and gray.shape[-1] not in (3, 4):
    gray = gray[..., np.newaxis]
  if gray.ndim == 4 and gray.shape[-1] == 1 and gray.dtype == np.uint8:
    # A view, which takes no memory.
    return np.broadcast_to(gray, (*gray.shape[:-1], 3))
  return images


def _not_a_dataset(path: str, reason: str) -> InputError:
  """Returns the error for a file that is not a dataset."""
  return InputError(
    'dataset name',
    path,
    f'an .npz file with {", ".join(_ARRAYS)}',
    f'write {", ".join(_ARRAYS)} into it with numpy.savez',
    message=f'{path} cannot be read as a dataset: {reason}',
  )


def _check_split(
  path: str,
  split: str,
  arrays: Mapping[str, np.ndarray],
  train_shape: tuple[int, ...],
) -> None:
  """Raises an InputError unless the arrays of a split are as described."""
  images, labels = arrays[f'{split}_images'], arrays[f'{split}_labels']
  _check_images(images, f'{split}_images of {path}', train_shape)
  name = f'{split}_labels of {path}'
  array_checks.check_labels(labels, name, len(images))


def _check_images(
  images: np.ndarray, name: str, train_shape: tuple[int, ...] = ()
) -> None:
  """Raises an InputError unless images are uint8 [N, H, W, 3].

  Args:
    images: An array of any kind.
    name: The name of the array, for the error.
    train_shape: The shape of the training images, whose size `images` must
      have; () for any size.
  """
  if (
    images.dtype != np.uint8
    or images.ndim != 4
    or images.shape[-1] != 3
    or (train_shape and images.shape[1:] != train_shape[1:])
    or not len(images)
  ):
    one_size = ', of the same size for training and test' if train_shape else ''
    raise InputError(
      name,
      f'{images.dtype} {list(images.shape)}',
      f'uint8 [N, H, W, 3]{one_size}',
      array_checks.image_hint(images),
    )


def _class_names(
  path: str, arrays: Mapping[str, np.ndarray]
) -> tuple[str, ...]:
  """Returns the names of the K classes; by default, their labels as text."""
  largest = max(arrays[f'{split}_labels'].max() for split in ('train', 'test'))
  num_classes = int(largest) + 1
  if 'class_names' not in arrays:
    return tuple(map(str, range(num_classes)))
  names = arrays['class_names']
  is_list = names.ndim == 1 and names.dtype.kind in 'US'
  # Some classes may have no image.
  if not is_list or len(names) < num_classes:
    raise InputError(
      f'class_names of {path}',
      f'{names.dtype} {list(names.shape)}',
      f'at least {num_classes} strings, one for each label from 0 to '
      f'{num_classes - 1}',
    )
  try:
    found = np.char.decode(names) if names.dtype.kind == 'S' else names
  except UnicodeDecodeError as error:
    raise InputError(
      f'class_names of {path}', names.tolist(), 'strings, or bytes in UTF-8'
    ) from error
  found = found.tolist()
  if any('\n' in name for name in found):
    raise InputError(f'class_names of {path}', found, 'names of one line each')
  if len(set(found)) < len(found):
    raise InputError(f'class_names of {path}', found, 'distinct names')
  return tuple(found)


def _check_classes(
  path: str, arrays: Mapping[str, np.ndarray], num_classes: int
) -> None:
  """Warns in one line about labels that look like a mistake.

  Raises:
    InputError: If all training images have the same class, or if no label is 0
      and the classes have no names.
  """
  trained, tested = (
    np.bincount(arrays[f'{split}_labels'], minlength=num_classes) > 0
    for split in ('train', 'test')
  )
  name = f'train_labels of {path}'
  if trained.sum() < 2:
    raise InputError(
      name, int(trained.argmax()), 'of at least two classes', 'all are the same'
    )
  for split in 'train', 'test':
    labels = arrays[f'{split}_labels'].astype(int)
    # Few labels may be in order by chance.
    if len(labels) > 2 * num_classes and (np.diff(labels) >= 0).all():
      _logger.warning(
        f'the {split}_labels of {path} are sorted: options that take the first '
        'or the last examples take only some of the classes; shuffle them'
      )
  known = np.flatnonzero(trained | tested)
  if known[0] and 'class_names' not in arrays:
    raise InputError(
      name,
      f'labels from {known[0]} to {known[-1]}',
      f'from 0 to {known[-1] - known[0]}',
      f'subtract {known[0]} from all labels, or add `class_names` if label 0 '
      'is a class of its own',
    )
  missing = np.flatnonzero(~trained)
  if not len(missing):
    return
  count = len(missing)
  shown = ', '.join(map(str, missing[:5])) + (', ...' if count > 5 else '')
  line = (
    f'{path} has {num_classes} classes, but no training image of {count} of '
    f'them: {shown}'
  )
  if trained[-1] and count > 1 and missing[0] == num_classes - 1 - count:
    line += (
      f'. If {num_classes - 1} marks images without a class, leave them out'
    )
  elif tested[missing].any():
    line += ', though there are test images of them'
  _logger.warning(line)
