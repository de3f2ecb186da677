"""Arrays beside a report, kept to write it again without another evaluation."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence

from uncertainty_distill.io import archives, files

import numpy as np

# Of a report's folder: what its images are made from, and their pictures.
FOLDER = 'images'

_MADE_FROM = 'made_from'


def write(
  directory: str,
  name: str,
  made_from: Sequence[str],
  arrays: Mapping[str, np.ndarray],
) -> None:
  """Writes arrays into a report's folder.

  Args:
    directory: The folder.
    name: Of the file, which is replaced whole or not at all.
    made_from: What the arrays were made from, to know them by.
    arrays: Of numbers or strings.

  Raises:
    OSError: The file cannot be written.
  """
  files.make_folder(os.path.join(directory, FOLDER))
  content = io.BytesIO()
  np.savez(content, **{_MADE_FROM: np.array(list(made_from), str)}, **arrays)
  files.write_bytes(_path(directory, name), content.getvalue())


def read(
  directory: str, name: str, made_from: Sequence[str], wanted: Sequence[str]
) -> dict[str, np.ndarray] | None:
  """Reads what `write` wrote.

  Args:
    directory: The folder.
    name: Of the file.
    made_from: What the arrays should have been made from.
    wanted: The arrays' names.

  Returns:
    The arrays; None where there are none, they were made from something else,
    or the file cannot be read.
  """
  try:
    arrays = archives.read_arrays(_path(directory, name))
    if arrays[_MADE_FROM].tolist() != list(made_from):
      return None
    return {name: arrays[name] for name in wanted}
  except (OSError, ValueError, KeyError):
    return None  # None yet, cut short, or of another version.


def _path(directory: str, name: str) -> str:
  return os.path.join(directory, FOLDER, f'{name.replace("/", "_")}.npz')
