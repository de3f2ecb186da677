"""Corrupted test sets as files, in the layout of CIFAR-10-C.

For a test set of N examples a folder holds, for each corruption, the uint8
array `<corruption>.npy` [5*N, H, W, C]: row (s - 1) * N + i is example i at
severity s; and `labels.npy` [5*N], the labels five times over. Folders made by
this package also hold `made.json`, which says from what.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corrupted_sets import base
from uncertainty_distill.data.image_source import ImageDataset
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np

LABELS_FILE = 'labels.npy'
# Written by `making`: `dataset`, `num_examples` and `seed`, and with which
# `versions` of the libraries.
MADE_FILE = 'made.json'

_REPEATS = len(corruptions.SEVERITIES)


class FolderSet(base.CorruptedSet):
  """Corrupted images in a folder, such as the published CIFAR-10-C."""

  def __init__(
    self,
    dataset: ImageDataset,
    directory: str,
    shifts: Iterable[corruptions.Shift],
  ):
    """Opens the files, and checks them; their images are read when wanted.

    Args:
      dataset: The clean test examples, or the first so many of them.
      directory: The folder.
      shifts: Those that will be asked for.

    Raises:
      InputError: A file is missing, truncated or of another shape or type, or
        its labels are not those of the test set, in the same order.
    """
    check_local(directory)
    if not os.path.isdir(directory):
      raise InputError(
        'corrupted images',
        directory,
        f'a folder with <corruption>.npy and {LABELS_FILE}',
        'make_corrupted.py makes one',
      )
    super().__init__(dataset, _describe(directory))
    check_labels(directory, dataset)
    kinds = {shift.corruption for shift in shifts} - {None}
    self._arrays = {
      kind: open_images(directory, kind, dataset)
      for kind in sorted(kinds, key=lambda kind: kind.value)
    }

  def _corrupted(self, shift, start, stop):
    first = (shift.severity - 1) * self.dataset.spec.num_test
    # A copy in memory: the file is read here and now, by whoever prepares the
    # input, not in the middle of a step.
    rows = self._arrays[shift.corruption][first + start : first + stop]
    return np.array(rows)


def check_local(directory: str) -> None:
  """Checks that a folder is on a disk, whose files can be mapped into memory.

  Raises:
    InputError: It is not.
  """
  if files.is_remote(directory):
    raise InputError(
      'corrupted images',
      directory,
      'a folder on a local disk',
      'copy it there and back',
    )


def images_path(directory: str, kind: corruptions.Corruption) -> str:
  """Returns the path of a corruption's file."""
  return os.path.join(directory, f'{kind.value}.npy')


def images_shape(dataset: ImageDataset) -> tuple[int, ...]:
  """Returns the shape of a corruption's array for a test set."""
  return _REPEATS * dataset.spec.num_test, *dataset.images.shape[1:]


def repeated_labels(dataset: ImageDataset) -> np.ndarray:
  """Returns what belongs in `labels.npy` for a whole test set, [5*N]."""
  smallest = np.min_scalar_type(dataset.spec.num_classes - 1)
  return np.tile(dataset.labels.astype(smallest), _REPEATS)


def open_images(
  directory: str, kind: corruptions.Corruption, dataset: ImageDataset
) -> np.ndarray:
  """Maps a corruption's file into memory, read-only, uint8 [5*N, H, W, C].

  Raises:
    InputError: It is missing, truncated, or not such an array.
  """
  shape = images_shape(dataset)
  wants = f'uint8 {list(shape)}'
  path = images_path(directory, kind)
  images = _map_array(path, wants)
  if images.dtype != np.uint8 or images.shape != shape:
    raise InputError(path, f'{images.dtype} {list(images.shape)}', wants)
  return images


def check_labels(directory: str, dataset: ImageDataset) -> None:
  """Checks that a folder's labels are the test set's, in its order.

  Args:
    directory: The folder.
    dataset: The clean test examples, or the first so many of them.

  Raises:
    InputError: They are not, or they are missing, truncated or no labels.
  """
  path = os.path.join(directory, LABELS_FILE)
  number = dataset.spec.num_test
  wants = f'integers [{_REPEATS * number}]'
  labels = _map_array(path, wants)
  if labels.shape != (_REPEATS * number,) or labels.dtype.kind not in 'iu':
    raise InputError(path, f'{labels.dtype} {list(labels.shape)}', wants)
  labels = labels.reshape(_REPEATS, number)[:, : len(dataset.labels)]
  wrong = np.argwhere(labels != dataset.labels)
  if len(wrong):
    repeat, example = wrong[0]
    raise InputError(
      path,
      f'label {labels[repeat, example]} in row {repeat * number + example}',
      f'{dataset.labels[example]}, as example {example} of the test set of '
      f'{dataset.spec.name} has',
      f'{len(wrong)} of {labels.size} labels differ: the images are of '
      'another dataset or in another order',
    )


def read_made(directory: str) -> dict[str, object] | None:
  """Returns from what a folder was made; None where it does not say.

  Raises:
    InputError: Its `made.json` is damaged.
  """
  path = os.path.join(directory, MADE_FILE)
  if not os.path.exists(path):
    return None
  try:
    made = json.loads(files.read_text(path))
    return {key: made[key] for key in ('dataset', 'num_examples', 'seed')}
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise InputError(
      path, f'{type(error).__name__}: {error}', 'what make_corrupted.py wrote'
    ) from error


def _describe(directory: str) -> str:
  """Says which images a folder holds."""
  made = read_made(directory)
  if made is None:
    return f'files in {directory}, not made by this package'
  return (
    f'files in {directory}, made by formula from {made["dataset"]}, '
    f'seed {made["seed"]}'
  )


def _map_array(path: str, wants: str) -> np.ndarray:
  """Maps a .npy file into memory, read-only."""
  try:
    array = np.load(path, mmap_mode='r', allow_pickle=False)
  except FileNotFoundError as error:
    raise InputError(path, 'no such file', wants) from error
  except OSError as error:
    raise InputError(path, error.strerror or str(error), wants) from error
  # NumPy raises ValueError for a file that is too short for its header's shape,
  # and for one that is no array at all it speaks of pickles.
  except (ValueError, EOFError, zipfile.BadZipFile) as error:
    raise InputError(
      path,
      f'{os.path.getsize(path)} bytes, truncated or not a .npy file',
      wants,
    ) from error
  if not isinstance(array, np.ndarray):
    raise InputError(path, 'an .npz archive', wants)
  return array
