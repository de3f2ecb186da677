"""Corrupted test sets as files, in the layout of CIFAR-10-C.

For a test set of N examples, a folder holds a uint8 array `<corruption>.npy`
[5*N, H, W, C] for each corruption, whose row (s - 1) * N + i is example i at
severity s. It also holds `labels.npy` [5*N], the labels five times over.
Folders made by this package also hold `made.json`, which says what they were
made from.
"""

from __future__ import annotations

import json
import logging
import os
import zipfile
from collections.abc import Iterable

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corrupted_sets import base
from uncertainty_distill.data.image_source import ImageSource
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np

_logger = logging.getLogger(__name__)

LABELS_FILE = 'labels.npy'
# Holds `dataset`, `num_examples`, `seed`, `frost`, `benchmark`, the
# `fingerprint` of the images and the `versions` of the libraries.
MADE_FILE = 'made.json'

_REPEATS = len(corruptions.SEVERITIES)


class FolderSet(base.CorruptedSet):
  """Corrupted images in a folder, such as the published CIFAR-10-C."""

  def __init__(
    self,
    dataset: ImageSource,
    directory: str,
    shifts: Iterable[corruptions.Shift],
  ):
    """Opens and checks the files; images are read when they are asked for.

    Args:
      dataset: All clean test examples.
      directory: The folder.
      shifts: The shifts that will be asked for.

    Raises:
      InputError: If a file is missing, truncated, or of another shape or type,
        or if the labels are not those of the test set in the same order.
    """
    check_local(directory)
    if not os.path.isdir(directory):
      raise InputError(
        'corrupted images',
        directory,
        f'a folder with <corruption>.npy and {LABELS_FILE}',
        'make_corrupted.py makes such a folder',
      )
    super().__init__(dataset, _describe(directory))
    check_labels(directory, dataset)
    made = read_made(directory)
    if made and made['fingerprint'] not in ('', dataset.fingerprint):
      _logger.warning(
        f'{directory} was made from images that differ from the current test '
        'set: run make_corrupted.py to make new ones in another folder'
      )
    kinds = {shift.corruption for shift in shifts if shift.corruption}
    self._arrays = {
      kind: open_images(directory, kind, dataset)
      for kind in sorted(kinds, key=lambda kind: kind.value)
    }

  def _corrupted(self, shift, rows):
    assert shift.corruption is not None
    first = (shift.severity - 1) * len(self.dataset)
    # Indexing by an array makes NumPy copy the images into memory: the thread
    # that prepares batches reads the file, not a step that then has to wait.
    return np.array(self._arrays[shift.corruption][first + rows])


def check_local(directory: str) -> None:
  """Checks that the files in a folder can be mapped into memory.

  Raises:
    InputError: If the folder is not on a local disk.
  """
  if files.is_remote(directory):
    raise InputError(
      'corrupted images',
      directory,
      'a folder on a local disk',
      'copy it to a local disk',
    )


def images_path(directory: str, kind: corruptions.Corruption) -> str:
  """Returns the path of the file of a corruption."""
  return os.path.join(directory, f'{kind.value}.npy')


def images_shape(dataset: ImageSource) -> tuple[int, ...]:
  """Returns the shape of the array of a corruption, for a whole test set."""
  return _REPEATS * len(dataset), *dataset.spec.image_shape


def repeated_labels(dataset: ImageSource) -> np.ndarray:
  """Returns the content of `labels.npy` for a whole test set, [5*N]."""
  smallest = np.min_scalar_type(dataset.spec.num_classes - 1)
  return np.tile(dataset.labels.astype(smallest), _REPEATS)


def open_images(
  directory: str, kind: corruptions.Corruption, dataset: ImageSource
) -> np.ndarray:
  """Maps the file of a corruption into memory, read-only.

  Returns:
    uint8 [5*N, H, W, C].

  Raises:
    InputError: If the file is missing, truncated, or another kind of array.
  """
  shape = images_shape(dataset)
  expected = f'uint8 {list(shape)}'
  path = images_path(directory, kind)
  images = _map_array(path, expected)
  if images.dtype != np.uint8 or images.shape != shape:
    raise InputError(path, f'{images.dtype} {list(images.shape)}', expected)
  return images


def check_labels(directory: str, dataset: ImageSource) -> None:
  """Checks that the labels in a folder are those of the test set, in its order.

  Args:
    directory: The folder.
    dataset: All clean test examples.

  Raises:
    InputError: If the labels are others, or if they are missing, truncated or
      not labels.
  """
  path = os.path.join(directory, LABELS_FILE)
  number = len(dataset)
  expected = f'integers [{_REPEATS * number}]'
  labels = _map_array(path, expected)
  if labels.shape != (_REPEATS * number,) or labels.dtype.kind not in 'iu':
    raise InputError(path, f'{labels.dtype} {list(labels.shape)}', expected)
  labels = labels.reshape(_REPEATS, number)
  wrong = np.argwhere(labels != dataset.labels)
  if len(wrong):
    repeat, example = wrong[0]
    row, label = repeat * number + example, labels[repeat, example]
    right = f'{dataset.labels[example]}, the label of test example {example}'
    raise InputError(
      path,
      f'label {label} in row {row}',
      right,
      'use images of this dataset in the order of its test set',
      message=f'{path} has label {label} in row {row}, but {dataset.spec.name} '
      f'has {right}; {len(wrong)} of {labels.size} labels differ',
    )


def read_made(directory: str) -> dict[str, object] | None:
  """Returns what a folder was made from; None if it has no `made.json`.

  Raises:
    InputError: If its `made.json` is damaged.
  """
  path = os.path.join(directory, MADE_FILE)
  if not os.path.exists(path):
    return None
  try:
    # Older files, from when there was no choice of pictures or benchmark, lack
    # these keys and the fingerprint of the images.
    made = {
      'frost': 'texture',
      'benchmark': 'cifar_c',
      'fingerprint': '',
      **json.loads(files.read_text(path)),
    }
    keys = ('dataset', 'num_examples', 'seed', 'frost', 'benchmark')
    return {key: made[key] for key in (*keys, 'fingerprint')}
  except (OSError, ValueError, KeyError, TypeError) as error:
    reason = f'{type(error).__name__}: {error}'
    raise InputError(
      path,
      reason,
      'the file that make_corrupted.py wrote',
      'choose another folder',
      message=f'{path} is damaged ({reason})',
    ) from error


def _describe(directory: str) -> str:
  """Returns, for reports, which images a folder holds."""
  made = read_made(directory)
  if made is None:
    return f'files in {directory}, not made by this package'
  recipe = base.describe_recipe(
    *(made[key] for key in ('seed', 'frost', 'benchmark'))  # pyright: ignore[reportArgumentType]
  )
  return (
    f'files in {directory}, made by formula from {made["dataset"]}, {recipe}'
  )


def _map_array(path: str, expected: str) -> np.ndarray:
  """Maps a .npy file into memory, read-only."""
  try:
    array = np.load(path, mmap_mode='r', allow_pickle=False)
  except OSError as error:
    reason = error.strerror or str(error)
  # NumPy raises ValueError for a file that is too short for the shape in its
  # header, and mentions pickles if a file is not an array at all.
  except (ValueError, EOFError, zipfile.BadZipFile):
    reason = f'its {os.path.getsize(path)} bytes are not a complete .npy file'
  else:
    if isinstance(array, np.ndarray):
      return array
    reason = 'it is an .npz archive'
  raise InputError(
    path,
    reason,
    expected,
    message=f'{path} cannot be read as {expected}: {reason}',
  )
