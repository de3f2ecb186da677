"""Files and folders on local disks and in TensorFlow's file systems.

A path with a scheme, as in `gs://bucket/run`, is remote. etils.epath serves it
by TensorFlow's file systems; both libraries are imported when the first remote
path is met. All functions raise OSError with the path and the reason.

This module adds what epath lacks. The paths of epath know only the schemes gs,
s3, az and hf, so this module chooses among epath's backends. The backends let
TensorFlow's errors through, know times in whole seconds, and write nothing
atomically. The paths of epath can be made relative only to their parents.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import io
import os
import posixpath
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

Path = str | os.PathLike[str]


class _Disk:
  """The local disk, with the functions that etils.epath's backends have."""

  exists = staticmethod(os.path.exists)
  glob = staticmethod(glob.glob)
  isdir = staticmethod(os.path.isdir)
  listdir = staticmethod(os.listdir)
  makedirs = staticmethod(os.makedirs)
  open = staticmethod(open)
  remove = staticmethod(os.remove)
  replace = staticmethod(os.replace)
  rmtree = staticmethod(shutil.rmtree)


def is_remote(path: Path) -> bool:
  """Returns whether a path is for TensorFlow's file systems."""
  return '://' in os.fspath(path)


def absolute(path: str, start: str = '') -> str:
  """Returns a path that means the same from everywhere.

  Args:
    path: A path, relative to `start` unless it is absolute or remote.
    start: A folder; empty for the working directory.
  """
  if start and not is_remote(path):
    path = os.path.join(start, path)
  if not is_remote(path):
    return os.path.abspath(path)
  scheme, rest = path.split('://', 1)
  return f'{scheme}://{posixpath.normpath(rest)}'


def expanded(path: Path) -> str:
  """Returns a local path with the home folder for a `~` at its start."""
  return os.path.expanduser(os.fspath(path))


def relative(path: str, start: str) -> str:
  """Returns a path as seen from a folder.

  The result is absolute if the two are not in one file system and one bucket.
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
  """Returns the folder that a path lies in; for a bucket, the bucket."""
  path = absolute(path)
  if not is_remote(path):
    return os.path.dirname(path)
  scheme, rest = path.split('://', 1)
  return f'{scheme}://{posixpath.dirname(rest) or rest}'


def exists(path: Path) -> bool:
  """Returns whether there is a file or folder."""
  with _backend(path) as backend:
    return backend.exists(path)


def is_folder(path: Path) -> bool:
  """Returns whether there is a folder."""
  with _backend(path) as backend:
    return backend.isdir(path)


def is_file(path: Path) -> bool:
  """Returns whether there is a file, and it is not a folder."""
  return exists(path) and not is_folder(path)


def names(path: Path) -> list[str]:
  """Returns the names in a folder, sorted."""
  with _backend(path) as backend:
    # Object stores end the names of folders with a slash.
    return sorted(name.rstrip('/') for name in backend.listdir(path))


def matching(pattern: str) -> list[str]:
  """Returns the paths that a glob pattern matches."""
  with _backend(pattern) as backend:
    return backend.glob(pattern)


def modified(path: Path) -> int:
  """Returns when a file was written, in nanoseconds; 0 without a file."""
  return version(path)[0] if is_file(path) else 0


def version(path: Path) -> tuple[int, int]:
  """Returns when a file was written, in nanoseconds, and its size in bytes."""
  if not is_remote(path):
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size
  with _backend(path) as backend:
    stat = backend.gfile.stat(path)
    return stat.mtime_nsec, stat.length


def make_folder(path: Path) -> None:
  """Makes a folder and its parents if they do not exist."""
  with _backend(path) as backend:
    backend.makedirs(path, exist_ok=True)


def is_within(path: str, folder: str) -> bool:
  """Returns whether a path is a folder's or below it, by their names."""
  return path == folder or path.startswith(f'{folder.rstrip("/")}/')


def is_utf8(text: str) -> bool:
  """Returns whether a name from the file system can be written in UTF-8."""
  return text == text.encode(errors='ignore').decode()


def flush(folder: str) -> None:
  """Waits until all files of a local folder are on the disk."""
  for parent, _, found in os.walk(folder):
    for name in found:
      with open(os.path.join(parent, name), 'rb') as file:
        os.fsync(file.fileno())


def remove(path: Path) -> None:
  """Removes a file, a link, or a folder with everything in it, if it exists."""
  if not is_remote(path) and os.path.islink(path):
    os.remove(path)
    return
  if not exists(path):
    return
  try:
    with _backend(path) as backend:
      (backend.rmtree if backend.isdir(path) else backend.remove)(path)
  except FileNotFoundError:
    # In object stores a folder disappears with the last file in it.
    if exists(path):
      raise


def rename(path: Path, new: Path) -> None:
  """Renames a file, and replaces a file that has the new name."""
  with _backend(path) as backend:
    backend.replace(path, new)


def read_bytes(path: Path) -> bytes:
  """Returns the content of a file."""
  with _backend(path) as backend, backend.open(path, 'rb') as file:
    return file.read()


def read_text(path: Path) -> str:
  """Returns the text of a file in UTF-8.

  Raises:
    OSError: If the file cannot be read.
    UnicodeDecodeError: If the file is not UTF-8.
  """
  return read_bytes(path).decode('utf-8')


def open_binary(path: Path) -> BinaryIO:
  """Opens a file to read and seek in; a remote file is fetched first."""
  return io.BytesIO(read_bytes(path)) if is_remote(path) else open(path, 'rb')


def open_log(path: Path) -> contextlib.AbstractContextManager[TextIO]:
  """Opens a text file to append to; a remote file gets the text when closed."""
  if is_remote(path):
    return _remote_backend().open(path, 'a')
  # Written by lines, so that the log of a killed process says how far it came.
  return open(path, 'a', buffering=1, encoding='utf-8')


def write_bytes(path: Path, content: bytes) -> None:
  """Writes a file atomically: readers see its old content or its new content.

  Args:
    path: The file, in a folder that exists.
    content: The new content.

  Raises:
    OSError: If the file cannot be written; `filename` is the path.
  """
  with replacing(path) as file:
    file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Any]:
  """Opens a file for bytes that replace its content at the end.

  Args:
    path: The file, in a folder that exists. If an error is raised meanwhile,
      the file stays as it was.

  Raises:
    OSError: If the file cannot be written; `filename` is the path.
  """
  folder, name = os.path.split(os.fspath(path))
  temporary = os.path.join(folder, f'.{name}.{os.getpid()}.tmp')
  try:
    with _backend(path) as backend:
      with backend.open(temporary, 'wb') as file:
        yield file
        if not is_remote(path):
          file.flush()
          # Otherwise a crash of the machine could leave a file without content.
          os.fsync(file.fileno())
      backend.replace(temporary, path)
  finally:
    with contextlib.suppress(OSError):
      remove(temporary)


def write_text(path: Path, text: str) -> None:
  """Writes text in UTF-8 as `write_bytes` does."""
  write_bytes(path, text.encode('utf-8'))


@contextlib.contextmanager
def _backend(path: Path) -> Iterator[Any]:
  """Yields the backend of a path; its errors become OSErrors with the path."""
  backend, errors, missing = _Disk, OSError, FileNotFoundError
  if is_remote(path):
    backend = _remote_backend()
    errors = OSError, backend.tf.errors.OpError
    missing = FileNotFoundError, backend.tf.errors.NotFoundError
  try:
    yield backend
  except errors as error:
    # Some errors have no number and no path, others a temporary file's path.
    number = errno.ENOENT if isinstance(error, missing) else errno.EIO
    text = getattr(error, 'message', str(error)).strip() or type(error).__name__
    raise OSError(
      getattr(error, 'errno', None) or number,
      getattr(error, 'strerror', None) or text.splitlines()[0],
      os.fspath(path),
    ) from error


def _remote_backend() -> Any:
  """Returns the backend of remote paths."""
  from etils.epath import backend

  return backend.tf_backend
