"""SHA-256 of trained weights, by their content.

A copy of a folder has the same fingerprint as the folder. Within a process,
files that do not change are read only once.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence

from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.io import archives, files

import numpy as np
import tensorflow as tf

_cached = functools.lru_cache(maxsize=4096)

# The files and folders of a SavedModel that TensorFlow, Keras and this package
# write.
SAVED_MODEL_PARTS = (
  'saved_model.pb',
  'fingerprint.pb',
  'keras_metadata.pb',
  'variables',
  'assets',
  'assets.extra',
)


def arrays_digest(*arrays: np.ndarray) -> str:
  """Returns the SHA-256 of arrays: of their types, shapes and bytes."""
  digest = hashlib.sha256()
  for array in arrays:
    digest.update(f'{array.dtype.str} {array.shape}\n'.encode())
    digest.update(np.ascontiguousarray(array))  # pyright: ignore[reportArgumentType]
  return digest.hexdigest()


def weights_digest(checkpoint: str) -> str:
  """Returns the SHA-256 of the weights and moving statistics of a run.

  Args:
    checkpoint: The path prefix of a checkpoint. The optimizer's state and the
      step, which the checkpoint also holds, do not count.

  Raises:
    InputError: If the checkpoint cannot be read.
  """
  folder, prefix = os.path.split(checkpoint)
  names = [n for n in files.names(folder) if n.startswith(f'{prefix}.')]
  return _weights_digest(checkpoint, _versions(folder, names))


def files_digest(
  folder: str, names: Sequence[str] = (), size_limit: int = 0
) -> str:
  """Returns the SHA-256 of files in a folder, and of their names.

  Args:
    folder: The folder.
    names: The names of the files; () for all files, also those in subfolders.
    size_limit: The total size in bytes above which only the names and sizes of
      the files count; 0 for no limit.
  """
  names = tuple(names or _files_below(folder, ''))
  versions = _versions(folder, names)
  sizes = [size for _, size in versions]
  if 0 < size_limit < sum(sizes):
    return hashlib.sha256(repr((names, sizes)).encode()).hexdigest()
  return _files_digest(folder, names, versions)


def saved_model_digest(folder: str) -> str:
  """Returns the SHA-256 of a SavedModel's own files, and of their names.

  Other files in its folder, such as a report, do not count.
  """
  names = _files_below(folder, '')
  own = [n for n in names if n.partition('/')[0] in SAVED_MODEL_PARTS]
  return files_digest(folder, own)


def archive_digest(path: str) -> str:
  """Returns the SHA-256 of the arrays in an `.npz` file, and of their names.

  Raises:
    OSError: If the file cannot be read.
    ValueError: If the file is no archive of arrays.
  """
  return _archive_digest(path, _versions('', [path]))


def mapped_digest(paths: Sequence[str]) -> str:
  """Returns `arrays_digest` of the arrays in local `.npy` files.

  Raises:
    OSError: If a file cannot be read.
    ValueError: If a file is no array.
  """
  return _mapped_digest(tuple(paths), _versions('', paths))


def _versions(folder: str, names: Sequence[str]) -> tuple:
  return tuple(files.version(os.path.join(folder, name)) for name in names)


@_cached
def _weights_digest(checkpoint, versions):
  del versions  # Only a part of the cache's key, here and below.
  digest = hashlib.sha256()
  try:
    # `load_checkpoint` may take a prefix for a folder in other file systems.
    reader = tf.compat.v1.train.NewCheckpointReader(checkpoint)
    for name in sorted(reader.get_variable_to_shape_map()):
      if name.startswith('model/') and '.OPTIMIZER_SLOT' not in name:
        weight = np.asarray(reader.get_tensor(name))
        digest.update(f'{name} {arrays_digest(weight)}\n'.encode())
  except (RuntimeError, ValueError, tf.errors.OpError) as error:
    raise InputError(
      'run folder',
      os.path.dirname(checkpoint),
      'a folder whose checkpoint can be read',
      first_line(error),
    ) from error
  return digest.hexdigest()


@_cached
def _files_digest(folder, names, versions):
  digest = hashlib.sha256()
  for name, (_, size) in zip(names, versions):
    path = os.path.join(folder, name)
    if files.is_remote(path) or not size:  # An empty file cannot be mapped.
      content = np.frombuffer(files.read_bytes(path), np.uint8)
    else:
      content = np.memmap(path, np.uint8, 'r')
    digest.update(f'{name} {arrays_digest(content)}\n'.encode())
  return digest.hexdigest()


@_cached
def _archive_digest(path, versions):
  del versions
  digest = hashlib.sha256()
  for name, array in sorted(archives.read_arrays(path).items()):
    digest.update(f'{name} {arrays_digest(array)}\n'.encode())
  return digest.hexdigest()


def _files_below(path: str, folder: str) -> list[str]:
  """Returns the files in a folder below a path, then those in subfolders."""
  inside = [
    os.path.join(folder, name)
    for name in files.names(os.path.join(path, folder))
  ]
  folders = [f for f in inside if files.is_folder(os.path.join(path, f))]
  found = [name for name in inside if name not in folders]
  return sum((_files_below(path, f) for f in folders), found)


@_cached
def _mapped_digest(paths, versions):
  del versions
  arrays = (np.load(p, mmap_mode='r', allow_pickle=False) for p in paths)
  return arrays_digest(*arrays)
