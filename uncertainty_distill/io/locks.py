"""One process at a time writes to a folder.

The process that writes to a folder holds a lock on the file `.lock`. The
operating system releases the lock when the process ends, however it ends.
`.lock.json` beside it describes the process:

  host   the machine's name
  pid    the process's number there
  since  when it began to write, in local time

Both files are removed at the end. In TensorFlow's file systems nothing can be
locked. There `.lock` itself describes the process, and stays if the process is
killed. Another process on the same machine notices this, and takes the folder
over; a process on another machine cannot tell.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import filelock

_LOCK = '.lock'
_HOLDER = '.lock.json'
# The folder in which TensorFlow writes a checkpoint before it renames it.
_CHECKPOINT_PARTS = re.compile(r'ckpt-\d+_temp')

# From a folder that this process has locked, and the thread that locked it, to
# the folders that were made for the lock.
_locked: dict[tuple[str, int], list[str]] = {}
_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def lock_folder(
  folder: str, name: str, enabled: bool = True, wait: bool = False
) -> Iterator[None]:
  """Keeps other processes, and other threads, from writing to a folder.

  Args:
    folder: The folder, which is made if it does not exist, and removed if it
      stays empty. The same thread may lock it again, as training does within a
      command that also evaluates.
    name: The parameter that gave the folder, for error messages.
    enabled: Whether to lock. Of several workers, the chief writes for all.
    wait: Whether to wait until another process ends, if the folder is local. By
      default, and in a remote folder, another process is an error.

  Raises:
    InputError: If another process writes there, or if nobody can write there.
  """
  key = files.absolute(folder), threading.get_ident()
  if not enabled or key in _locked:
    yield
    return
  made = _missing(folder)
  try:
    while True:
      files.make_folder(folder)
      try:
        lock = _acquire(folder, name, wait)
        break
      except FileNotFoundError:
        # Whoever held the lock has removed the folder, which stayed empty.
        if not wait:
          raise
  except OSError as error:
    _remove_empty(made)
    raise InputError(
      name, folder, 'a folder that can be written', error.strerror or ''
    ) from error
  _locked[key] = made
  try:
    yield
  except BaseException:
    _sweep(folder, os.getpid())
    raise
  finally:
    # The files are removed while the lock is held. A process that waits for the
    # lock then finds that the locked file is gone, and begins anew.
    _remove(*key)
    if lock:
      lock.release()


def remove_all() -> None:
  """Removes this process's locks and half-written files, before it ends."""
  for folder, thread in list(_locked):
    _sweep(folder, os.getpid())
    _remove(folder, thread)


def read_holder(folder: str) -> dict[str, Any] | None:
  """Returns the keys above for the process that writes to a folder, or None."""
  name = _LOCK if files.is_remote(folder) else _HOLDER
  return _read(os.path.join(folder, name)) or None


def forget(folder: str) -> None:
  """Removes the lock of a process that is known to be gone.

  In a local folder there is nothing to remove.
  """
  if files.is_remote(folder):
    with contextlib.suppress(OSError):
      files.remove(os.path.join(folder, _LOCK))


def content(folder: str) -> list[str]:
  """Returns the names in a folder, without the files of its lock."""
  return [n for n in files.names(folder) if n not in (_LOCK, _HOLDER)]


def _acquire(folder: str, name: str, wait: bool) -> filelock.FileLock | None:
  """Locks a folder and describes this process; returns the lock if local."""
  lock, holder_file = None, os.path.join(folder, _HOLDER)
  if files.is_remote(folder):
    holder_file = os.path.join(folder, _LOCK)
    holder = _read(holder_file)
    held_here = {locked for locked, _ in _locked}
    if holder is not None and (
      files.absolute(folder) in held_here or not _is_gone(holder)
    ):
      raise _refused(folder, name, holder)
  else:
    lock = filelock.FileLock(os.path.join(folder, _LOCK))
    try:
      lock.acquire(timeout=0)
    except filelock.Timeout:
      holder = _read(holder_file) or {}
      if not wait:
        raise _refused(folder, name, holder) from None
      _logger.warning('%s: waiting for %s', folder, _describe(holder))
      lock.acquire()
    # Older versions described the process in the lock file itself.
    holder = _read(holder_file) or _read(lock.lock_file)
  if holder:
    _logger.warning('%s: %s is gone', folder, _describe(holder))
    _sweep(folder, holder['pid'])
  own = {
    'host': socket.gethostname(),
    'pid': os.getpid(),
    'since': datetime.datetime.now().isoformat(' ', 'seconds'),
  }
  try:
    files.write_text(holder_file, json.dumps(own))
  except OSError:
    if lock:  # The disk is full. Nobody else should have to wait for this.
      files.remove(lock.lock_file)
      lock.release()
    raise
  return lock


def _refused(folder: str, name: str, holder: dict[str, Any]) -> InputError:
  """Returns the error that names the process that writes to a folder."""
  hint = (
    f'it is in use by {_describe(holder)}: wait until that process ends, or '
    'choose another folder'
  )
  if files.is_remote(folder):
    file = os.path.join(folder, _LOCK)
    hint += f'; if the process is gone, remove {file}'
  return InputError(
    name, folder, 'a folder that no other process writes to', hint
  )


def _describe(holder: dict[str, Any]) -> str:
  if not holder:
    return 'another process'
  return f'process {holder["pid"]} on {holder["host"]}, since {holder["since"]}'


def _read(path: str) -> dict[str, Any] | None:
  """Returns a lock's holder; {} if the file is damaged, None without a file."""
  try:
    holder = json.loads(files.read_text(path))
    types = {'host': str, 'pid': int, 'since': str}
    if all(isinstance(holder[key], kind) for key, kind in types.items()):
      return holder
  except FileNotFoundError:
    return None
  except (ValueError, KeyError, TypeError):
    pass
  return {}


def _is_gone(holder: dict[str, Any]) -> bool:
  """Returns whether a process is known to have ended."""
  if not holder or holder['host'] != socket.gethostname():
    return False
  try:
    os.kill(holder['pid'], 0)
  except (ProcessLookupError, OverflowError):
    return True
  except PermissionError:  # It runs, as another user.
    return False
  # A restarted container gives its process the same number again.
  return holder['pid'] == os.getpid()


def _sweep(folder: str, pid: int) -> None:
  """Removes the files that a process has left half-written."""
  if files.is_remote(folder):
    return
  for place, folders, names in os.walk(folder):
    leftovers = [name for name in names if name.endswith(f'.{pid}.tmp')]
    if place == folder:
      leftovers += filter(_CHECKPOINT_PARTS.fullmatch, folders)
    for name in leftovers:
      with contextlib.suppress(OSError):
        files.remove(os.path.join(place, name))


def _missing(folder: str) -> list[str]:
  """Returns a local folder and its parents, as far as they do not exist."""
  missing = []
  while not files.is_remote(folder) and not os.path.exists(folder):
    missing.append(folder)
    folder = os.path.dirname(os.path.abspath(folder))
  return missing


def _remove(folder: str, thread: int) -> None:
  """Removes the files of a lock, and the folders that stayed empty."""
  for name in _HOLDER, _LOCK:
    with contextlib.suppress(OSError):
      files.remove(os.path.join(folder, name))
  _remove_empty(_locked.pop((folder, thread), []))


def _remove_empty(folders: list[str]) -> None:
  for folder in folders:
    with contextlib.suppress(OSError):
      os.rmdir(folder)
