"""Arrays kept beside a report, to rewrite it without evaluating again."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from uncertainty_distill.io import archives, files

import numpy as np

# The subfolder of a report's folder for the arrays and the images' plots.
FOLDER = 'images'

_MADE_FROM = 'made_from'
_Arrays = TypeVar('_Arrays')


def write(
  arrays: Any, directory: str, name: str, made_from: Sequence[str]
) -> None:
  """Writes arrays into a report's folder.

  Args:
    arrays: A dataclass whose fields are arrays of numbers or strings.
    directory: The report's folder.
    name: The name of the file, which is replaced whole or not at all.
    made_from: What the arrays were made from. `read` uses this to tell whether
      the arrays are current.

  Raises:
    OSError: The file cannot be written.
  """
  files.make_folder(os.path.join(directory, FOLDER))
  content = io.BytesIO()
  np.savez(
    content, **{_MADE_FROM: np.array(list(made_from), str)}, **vars(arrays)
  )
  files.write_bytes(_path(directory, name), content.getvalue())


def read(
  kind: type[_Arrays],
  directory: str,
  name: str,
  is_current: Callable[[list[str]], bool],
) -> _Arrays | None:
  """Reads what `write` wrote.

  Args:
    kind: The dataclass of the arrays.
    directory: The report's folder.
    name: The name of the file.
    is_current: A function that takes the stored `made_from` and returns whether
      it is still valid.

  Returns:
    The arrays; None if there are none, if they were made from something else,
    or if the file cannot be read.
  """
  try:
    arrays = archives.read_arrays(_path(directory, name))
    if is_current(arrays[_MADE_FROM].tolist()):
      return kind(**{f.name: arrays[f.name] for f in dataclasses.fields(kind)})  # pyright: ignore[reportArgumentType]
  except (OSError, ValueError, KeyError):
    pass  # There is no file, or it is cut short or of another version.
  return None


def _path(directory: str, name: str) -> str:
  return os.path.join(directory, FOLDER, f'{name.replace("/", "_")}.npz')
