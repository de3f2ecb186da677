"""Lists the pictures in a folder, with their classes and splits.

A folder has one of two layouts. The first is `PATH/train/CLASS/*.jpg`, with the
same classes in `PATH/test`, `PATH/val` or `PATH/validation`. The second is
`PATH/CLASS/*.jpg`, or `PATH/train/CLASS/*.jpg` alone, where a share of each
class becomes the test set. Classes are sorted by name. Pictures may lie in
subfolders of the folder of their class. Hidden files and folders are left out,
and so are files without the suffix of a picture format.

The pictures of a split are sorted by a checksum of their paths below the folder
of the split. So the first or the last thousand pictures come from all classes.
In the second layout, the test set has the first pictures of each class in this
order, so it stays nearly the same when pictures are added.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator

from uncertainty_distill.data.pictures import picture_files
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

_logger = logging.getLogger(__name__)

TEST_NAMES = 'test', 'val', 'validation'
# Common names for the folders of splits.
_SPLIT_NAMES = 'train', 'training', *TEST_NAMES, 'testing', 'valid'
_LAYOUT = (
  'a folder with train/CLASS/ and test/CLASS/ or val/CLASS/, or with CLASS/ '
  'for each class'
)


@dataclasses.dataclass(frozen=True)
class Listing:
  """The pictures of a folder.

  Attributes:
    class_names: K names, sorted.
    splits: Maps `train` and `test` to the paths of the pictures and their
      labels, in the order of the examples.
  """

  class_names: tuple[str, ...]
  splits: dict[str, list[tuple[str, int]]]

  def state(self) -> str:
    """Returns a checksum of the paths, labels, sizes and times of all files."""
    digest = hashlib.sha256()
    for split, examples in self.splits.items():
      for path, label in examples:
        digest.update(repr((split, path, label, files.version(path))).encode())
    return digest.hexdigest()


def list_pictures(folder: str, test_fraction: float = 0.0) -> Listing:
  """Lists a folder.

  Args:
    folder: The path of the folder.
    test_fraction: The share of each class that becomes the test set, if the
      folder has no test set.

  Raises:
    InputError: If the folder is not as the module describes, if it has fewer
      than two classes or an empty class, if its training and test classes
      differ, if it has both a test set and a `test_fraction`, or neither.
  """
  inside = _folders(folder)
  # A folder `train` without folders in it is the class `train`.
  if 'train' not in inside or not _folders(os.path.join(folder, 'train')):
    found = [name for name in TEST_NAMES if name in inside]
    if found and len(inside) == len(found):
      raise InputError(
        'dataset name', folder, _LAYOUT, f'it has {found[0]}/, but no train/'
      )
    return _divided(folder, test_fraction)
  tests = [name for name in TEST_NAMES if name in inside]
  train = os.path.join(folder, 'train')
  others = [n for n in inside if n.lower() not in _SPLIT_NAMES]
  if others:
    _warn(f'{folder} has train/, so these are left out: {_shown(others)}')
  if not tests:
    return _divided(train, test_fraction)
  if test_fraction:
    raise InputError(
      'task.train_data.test_fraction',
      test_fraction,
      f'0, since {folder} already has {tests[0]}/',
    )
  test = os.path.join(folder, tests[0])
  splits = {'train': _by_class(train), 'test': _by_class(test)}
  names, test_names = (list(by_class) for by_class in splits.values())
  if names != test_names:
    only = sorted(set(names) ^ set(test_names))
    raise InputError(
      'dataset name',
      folder,
      'a folder with the same classes for training and testing',
      message=f'The classes of {train} and {test} differ: only one of the two '
      f'folders has {_shown(only)}',
    )
  return Listing(
    tuple(names),
    {
      'train': _joined(splits['train'], train),
      'test': _joined(splits['test'], test),
    },
  )


def list_unsorted(
  folder: str, name: str = 'task.train_data.unlabeled'
) -> Listing:
  """Lists pictures without classes, in a folder and its subfolders.

  Args:
    folder: The path of the folder.
    name: The option that names the folder, for errors.

  Returns:
    A listing without classes, whose only split is `train`, with the labels -1.

  Raises:
    InputError: If there is no picture.
  """
  paths = sorted(_pictures(folder, ''), key=_checksum)
  if not paths:
    raise InputError(name, folder, 'a folder with pictures in it')
  return Listing(
    (), {'train': [(os.path.join(folder, path), -1) for path in paths]}
  )


def _divided(folder: str, test_fraction: float) -> Listing:
  """Lists a folder of classes, and divides it into training and test set."""
  by_class = _by_class(folder)
  if all(name.lower() in _SPLIT_NAMES for name in by_class):
    raise InputError(
      'dataset name',
      folder,
      _LAYOUT,
      f'rename {_shown(list(by_class))} to train and test, if these are splits',
    )
  if not test_fraction:
    raise InputError(
      'task.train_data.test_fraction',
      test_fraction,
      f'above 0, since {folder} has no test pictures',
      'set it to 0.2 to test on a fifth of each class, which is always the '
      'same fifth',
    )
  train, test = {}, {}
  for name, paths in by_class.items():
    count = max(1, round(test_fraction * len(paths)))
    if count >= len(paths):
      raise InputError(
        'dataset name',
        folder,
        'a folder with at least two pictures of each class, one of them to '
        'test on',
        f'{name} has {len(paths)}, and `task.train_data.test_fraction` is '
        f'{test_fraction:g}',
      )
    test[name], train[name] = paths[:count], paths[count:]
  return Listing(
    tuple(by_class),
    {'train': _joined(train, folder), 'test': _joined(test, folder)},
  )


def _by_class(folder: str) -> dict[str, list[str]]:
  """Returns the sorted classes of a folder, and the pictures of each.

  The pictures are paths below the folder, sorted by their checksums.

  Raises:
    InputError: If there are fewer than two classes, or if a class is empty.
  """
  classes = {
    name: sorted(_pictures(folder, name), key=_checksum)
    for name in _folders(folder)
  }
  if not any(classes.values()):
    loose = any(map(picture_files.is_picture, files.names(folder)))
    raise InputError(
      'dataset name',
      folder,
      _LAYOUT,
      'the pictures of each class must be in a folder with the name of the '
      'class'
      if loose
      else 'it contains no pictures',
    )
  if len(classes) < 2:
    raise InputError(
      'dataset name',
      folder,
      'a folder of at least two classes',
      f'it has only {_shown(list(classes))}',
    )
  empty = [name for name, paths in classes.items() if not paths]
  if empty:
    raise InputError(
      'dataset name',
      folder,
      'a folder with pictures of every class',
      f'there are none in {_shown(empty)}; remove folders that are not classes',
    )
  _check_names(classes, folder)
  return classes


def _check_names(classes: Iterable[str], folder: str) -> None:
  """Raises an InputError for names that a text file cannot hold, one a line."""
  for name in classes:
    if '\n' in name or not files.is_utf8(name):
      raise InputError(
        'dataset name',
        folder,
        'a folder whose classes have names of one line in UTF-8',
        f'rename {name!a}',
      )


def _joined(
  by_class: dict[str, list[str]], folder: str
) -> list[tuple[str, int]]:
  """Returns the pictures of all classes with their labels, in order."""
  examples = [
    (path, label)
    for label, paths in enumerate(by_class.values())
    for path in paths
  ]
  examples.sort(key=lambda example: _checksum(example[0]))
  return [(os.path.join(folder, path), label) for path, label in examples]


def _checksum(path: str) -> bytes:
  return hashlib.sha256(os.fsencode(path)).digest()


def _folders(folder: str) -> list[str]:
  """Returns the sorted names of the folders in a folder that are not hidden."""
  return [
    name
    for name in files.names(folder)
    if not name.startswith('.') and files.is_folder(os.path.join(folder, name))
  ]


def _pictures(
  folder: str, inside: str, above: frozenset[str] = frozenset()
) -> Iterator[str]:
  """Yields the pictures in a folder and its subfolders.

  Args:
    folder: The folder to which the yielded paths are relative.
    inside: The path of the folder to search, relative to `folder`.
    above: The folders that contain it, to which a link may lead back.
  """
  here = os.path.join(folder, inside)
  real = here if files.is_remote(here) else os.path.realpath(here)
  above = above or frozenset(map(str, pathlib.PurePath(real).parents))
  if real in above:
    return
  for name in files.names(here):
    path = f'{inside}/{name}' if inside else name
    if picture_files.is_picture(name):
      yield path
    elif not name.startswith('.') and files.is_folder(
      os.path.join(folder, path)
    ):
      yield from _pictures(folder, path, above | {real})


def _shown(names: list[str]) -> str:
  """Returns some of the names, for the message of an error."""
  return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


@functools.cache
def _warn(line: str) -> None:
  """Logs a warning, but the same warning only once."""
  _logger.warning(line)
