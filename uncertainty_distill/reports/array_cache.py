"""Arrays beside a report, kept to write it again without another evaluation."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from uncertainty_distill.io import archives, files

import numpy as np

# The folder, within that of a report, of the arrays and of the images' plots.
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
    made_from: What the arrays were made from, by which `read` knows them.

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
    kind: The dataclass.
    directory: The report's folder.
    name: The name of the file.
    is_current: Whether what the arrays were made from is as it was.

  Returns:
    The arrays; None where there are none, they were made from something else,
    or the file cannot be read.
  """
  try:
    arrays = archives.read_arrays(_path(directory, name))
    if is_current(arrays[_MADE_FROM].tolist()):
      return kind(**{f.name: arrays[f.name] for f in dataclasses.fields(kind)})  # pyright: ignore[reportArgumentType]
  except (OSError, ValueError, KeyError):
    pass  # None yet, cut short, or of another version.
  return None


def _path(directory: str, name: str) -> str:
  return os.path.join(directory, FOLDER, f'{name.replace("/", "_")}.npz')
