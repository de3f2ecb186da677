"""Reads the arrays of `.npz` files without running any code in them."""

from __future__ import annotations

import zipfile

from uncertainty_distill.io import files

import numpy as np


def read_arrays(path: files.Path) -> dict[str, np.ndarray]:
  """Returns the arrays of an `.npz` file, by name.

  Args:
    path: The file, local or remote.

  Raises:
    OSError: If the file cannot be read.
    ValueError: If it is not an `.npz` file, is damaged, or holds Python
      objects. These would have to be unpickled, and a pickle is a program.
  """
  with files.open_binary(path) as file:
    if not zipfile.is_zipfile(file):
      raise ValueError('it is not an archive, or only a part of one')
    file.seek(0)
    try:
      with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
    except MemoryError as error:
      raise ValueError(f'it does not fit into memory: {error}') from error
    except Exception as error:  # NumPy raises many kinds for other archives.
      if 'allow_pickle' in str(error):
        raise ValueError('it holds Python objects, not arrays') from error
      raise ValueError(
        f'it is damaged: {" ".join(str(error).split())[:200]}'
      ) from error


def reason(error: Exception) -> str:
  """Returns the reason for an exception of `read_arrays`."""
  return getattr(error, 'strerror', None) or str(error)
