"""Arrays in `.npz` files, read as data alone."""

from __future__ import annotations

import zipfile

from uncertainty_distill.io import files

import numpy as np


def read_arrays(path: files.Path) -> dict[str, np.ndarray]:
  """Returns the arrays of an `.npz` file, by name.

  Args:
    path: Of the file, local or remote.

  Raises:
    OSError: It cannot be read.
    ValueError: It is no such file, is damaged, or holds Python objects, which
      would have to be unpickled, and a pickle is a program.
  """
  with files.open_binary(path) as file:
    if not zipfile.is_zipfile(file):
      raise ValueError('it is no archive, or not all of one')
    file.seek(0)
    try:
      with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
    except Exception as error:  # Whatever NumPy makes of another archive.
      if 'allow_pickle' in str(error):
        raise ValueError('it holds Python objects, not arrays') from error
      raise ValueError(
        f'it is damaged: {" ".join(str(error).split())[:200]}'
      ) from error


def why(error: Exception) -> str:
  """Returns what an exception of `read_arrays` says to a reader."""
  return getattr(error, 'strerror', None) or str(error)
