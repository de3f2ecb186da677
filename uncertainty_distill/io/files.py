"""Files and folders, on a local disk or wherever TensorFlow reaches.

A path with a scheme, as in `gs://bucket/run`, is remote: TensorFlow's own file
systems serve it, and TensorFlow is imported when the first one is met. Others
are left to Python. Both raise OSError.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import posixpath
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

Path = str | os.PathLike[str]


def is_remote(path: Path) -> bool:
  """Tells whether a path is for TensorFlow's file systems."""
  return '://' in os.fspath(path)


def absolute(path: str, start: str = '') -> str:
  """Returns a path that means the same from everywhere.

  Args:
    path: Relative to `start` unless it is absolute or remote.
    start: A folder; empty for the working directory.
  """
  if start and not is_remote(path):
    path = os.path.join(start, path)
  if not is_remote(path):
    return os.path.abspath(path)
  scheme, rest = path.split('://', 1)
  return f'{scheme}://{posixpath.normpath(rest)}'


def relative(path: str, start: str) -> str:
  """Returns what leads from a folder to a path, or the absolute path.

  The latter where they are not on the same file system and bucket.
  """
  path, start = absolute(path), absolute(start)
  if not is_remote(path) and not is_remote(start):
    return os.path.relpath(path, start)
  if _bucket(path) != _bucket(start):
    return path
  return posixpath.relpath(path.split('://')[1], start.split('://')[1])


def _bucket(path: str) -> list[str] | None:
  """Returns the scheme and the first name of a remote path."""
  return path.split('/')[:3] if is_remote(path) else None


def parent(path: str) -> str:
  """Returns the folder that a path lies in; a bucket's is itself."""
  path = absolute(path)
  if not is_remote(path):
    return os.path.dirname(path)
  scheme, rest = path.split('://', 1)
  return f'{scheme}://{posixpath.dirname(rest) or rest}'


def exists(path: Path) -> bool:
  """Tells whether there is a file or folder."""
  if not is_remote(path):
    return os.path.exists(path)
  with _gfile(path) as gfile:
    return gfile.exists(path)


def is_folder(path: Path) -> bool:
  """Tells whether there is a folder."""
  if not is_remote(path):
    return os.path.isdir(path)
  with _gfile(path) as gfile:
    return gfile.isdir(path)


def is_file(path: Path) -> bool:
  """Tells whether there is a file, which is no folder."""
  if not is_remote(path):
    return os.path.isfile(path)
  return exists(path) and not is_folder(path)


def names(path: Path) -> list[str]:
  """Returns the names of what lies in a folder, sorted."""
  if not is_remote(path):
    return sorted(os.listdir(path))
  with _gfile(path) as gfile:
    # Object stores mark folders by a slash.
    return sorted(name.rstrip('/') for name in gfile.listdir(path))


def modified(path: Path) -> int:
  """Returns when a file was written, in nanoseconds; 0 without a file."""
  if not is_file(path):
    return 0
  if not is_remote(path):
    return os.stat(path).st_mtime_ns
  with _gfile(path) as gfile:
    return gfile.stat(path).mtime_nsec


def make_folder(path: Path) -> None:
  """Makes a folder, and those that it lies in, unless it is there."""
  if not is_remote(path):
    os.makedirs(path, exist_ok=True)
    return
  with _gfile(path) as gfile:
    gfile.makedirs(path)


def remove(path: Path) -> None:
  """Removes a file, or a folder with all that is in it, if it is there."""
  if not exists(path):
    return
  if is_remote(path):
    try:
      with _gfile(path) as gfile:
        (gfile.rmtree if gfile.isdir(path) else gfile.remove)(path)
    except FileNotFoundError:
      # Where folders are names alone, one goes with the last file in it.
      if exists(path):
        raise
  elif os.path.isdir(path):
    shutil.rmtree(path)
  else:
    os.remove(path)


def read_bytes(path: Path) -> bytes:
  """Returns what a file holds."""
  if not is_remote(path):
    with open(path, 'rb') as file:
      return file.read()
  with _gfile(path) as gfile, gfile.GFile(path, 'rb') as file:
    return file.read()


def read_text(path: Path) -> str:
  """Returns the text of a file in UTF-8.

  Raises:
    OSError: It cannot be read.
    UnicodeDecodeError: It is no such text.
  """
  return read_bytes(path).decode('utf-8')


def open_binary(path: Path) -> BinaryIO:
  """Opens a file to read from any place in it; a remote one is fetched."""
  return io.BytesIO(read_bytes(path)) if is_remote(path) else open(path, 'rb')


def open_log(path: Path) -> TextIO:
  """Opens a text file to append to; a remote one gets the text when closed."""
  if not is_remote(path):
    # By lines, so that it says how far a process is, or was when killed.
    return open(path, 'a', buffering=1, encoding='utf-8')
  with _gfile(path) as gfile:
    return gfile.GFile(path, 'a')


def write_bytes(path: Path, content: bytes) -> None:
  """Writes a file that readers see whole, or as it was before.

  Args:
    path: The file, in a folder that exists; replaced.
    content: All of it.

  Raises:
    OSError: It cannot be written; `filename` is the path.
  """
  folder, name = os.path.split(os.fspath(path))
  temporary = os.path.join(folder, f'.{name}.{os.getpid()}.tmp')
  try:
    if is_remote(path):
      with _gfile(path) as gfile:
        with gfile.GFile(temporary, 'wb') as file:
          file.write(content)
        gfile.rename(temporary, path, overwrite=True)
    else:
      with open(temporary, 'wb') as file:
        file.write(content)
        file.flush()
        # Or a crash of the machine could leave the name without the content.
        os.fsync(file.fileno())
      os.replace(temporary, path)
  except OSError as error:
    # Python names the temporary file, or, where a disk is full, none.
    raise OSError(error.errno, error.strerror, os.fspath(path)) from error
  finally:
    with contextlib.suppress(OSError):
      remove(temporary)


def write_text(path: Path, text: str) -> None:
  """Writes text in UTF-8 as `write_bytes` does."""
  write_bytes(path, text.encode('utf-8'))


@contextlib.contextmanager
def _gfile(path: Path) -> Iterator[Any]:
  """Gives TensorFlow's file functions; their errors become OSErrors."""
  # Not every process that has files to read needs TensorFlow.
  import tensorflow as tf

  try:
    yield tf.io.gfile
  except tf.errors.OpError as error:
    missing = isinstance(error, tf.errors.NotFoundError)
    reason = error.message.strip().splitlines()[:1] or [type(error).__name__]
    raise OSError(
      errno.ENOENT if missing else errno.EIO, reason[0], os.fspath(path)
    ) from error
