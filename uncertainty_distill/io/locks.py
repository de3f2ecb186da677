"""One process at a time writes to a folder.

Whoever writes there leaves `.lock`, which says in JSON who it is, and takes it
away at the end:

  host     the machine's name
  pid      the process's number there
  started  when the machine and the process began, to tell the process from a
           later one of the same number; empty where there is no /proc
  since    when it began to write, in local time

The lock of a process that was killed stays. On its own machine that is seen,
and the folder taken over; from elsewhere nobody can tell.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import disk_errors, files

_FILE = '.lock'
_IDENTITY = 'host', 'pid', 'started'
# TensorFlow writes a checkpoint there before it gives it its name.
_CHECKPOINT_PARTS = re.compile(r'ckpt-\d+_temp')


@contextlib.contextmanager
def hold(
  folder: str, argument: str, really: bool = True, needs: str = 'it'
) -> Iterator[None]:
  """Within it, no other process writes to a folder.

  What the disk refuses is one error, too (see `disk`).

  Args:
    folder: Made if it is not there, and removed if nothing was put into it. It
      may be this process's already.
    argument: The flag that it comes from, for the message of an error.
    really: Whether to; else this does nothing. Of several workers that train
      one model, the chief writes for all.
    needs: What the disk must have room for.

  Raises:
    InputError: If another process writes there, or nobody can.
  """
  missing = _missing(folder) if really else []
  if not really or not _acquire(folder, argument, missing):
    yield
    return
  try:
    with disk_errors.errors(argument, folder, needs):
      yield
  except BaseException:
    _sweep(folder, os.getpid())
    raise
  finally:
    with contextlib.suppress(OSError):
      files.remove(os.path.join(folder, _FILE))
    _remove_empty(missing)


def content(folder: str) -> list[str]:
  """Returns the names of what lies in a folder, but for its lock."""
  return [name for name in files.names(folder) if name != _FILE]


def _acquire(folder: str, argument: str, missing: list[str]) -> bool:
  """Takes a folder; returns whether it is new to this process."""
  path = os.path.join(folder, _FILE)
  own = _identity()
  try:
    files.make_folder(folder)
    with _deciding(folder):
      holder = _read(path)
      if _same(holder, own):
        return False
      if holder is not None and not _is_gone(holder):
        raise _refused(folder, argument, holder)
      files.write_text(path, json.dumps(own))
  except OSError as error:
    _remove_empty(missing)
    raise InputError(
      argument, folder, 'a folder that can be written', error.strerror or ''
    ) from error
  if holder is not None:
    print(
      f'{folder}: taken over from process {holder["pid"]}, which is gone.',
      file=sys.stderr,
    )
    _sweep(folder, holder['pid'])
  return True


def _refused(folder: str, argument: str, holder: dict[str, Any]) -> InputError:
  """Returns the error that says who writes to a folder."""
  path = os.path.join(folder, _FILE)
  todo = f'if no process does, remove {path}, which cannot be read'
  if holder:
    todo = (
      f'process {holder["pid"]} on {holder["host"]} does since '
      f'{holder["since"]}: let it end, or take another folder'
    )
    if holder['host'] != socket.gethostname():
      todo += f'; if that process is gone, remove {path}'
  return InputError(
    argument, folder, 'a folder that no other process writes to', todo
  )


@contextlib.contextmanager
def _deciding(folder: str) -> Iterator[None]:
  """Within it, no other process of this machine decides on a folder.

  So that of two that find the lock of a third, which is gone, one takes it.
  """
  if files.is_remote(folder):
    yield
    return
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    # Some file systems of networks cannot; there it is a matter of luck.
    with contextlib.suppress(OSError):
      fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
  finally:
    os.close(descriptor)


def _identity() -> dict[str, Any]:
  """Returns what the lock says of this process."""
  return {
    'host': socket.gethostname(),
    'pid': os.getpid(),
    'started': _started(os.getpid()),
    'since': datetime.datetime.now().isoformat(' ', 'seconds'),
  }


def _same(holder: dict[str, Any] | None, own: dict[str, Any]) -> bool:
  return bool(holder) and all(holder[key] == own[key] for key in _IDENTITY)


def _read(path: str) -> dict[str, Any] | None:
  """Returns what a lock says: nothing if it is damaged; None without one."""
  if not files.is_file(path):
    return None
  try:
    holder = json.loads(files.read_text(path))
    types = {'host': str, 'pid': int, 'started': str, 'since': str}
    if all(isinstance(holder[key], kind) for key, kind in types.items()):
      return holder
  except FileNotFoundError:
    return None  # Its process has just ended.
  except (ValueError, KeyError, TypeError):
    pass
  return {}


def _is_gone(holder: dict[str, Any]) -> bool:
  """Tells whether a process is known to have ended."""
  if not holder or holder['host'] != socket.gethostname():
    return False
  try:
    os.kill(holder['pid'], 0)
  except (ProcessLookupError, OverflowError):
    return True
  except PermissionError:
    pass  # It runs, as another user.
  return _started(holder['pid']) != holder['started']


def _started(pid: int) -> str:
  """Returns when the machine and a process began, as text; see `proc(5)`."""
  try:
    boot = files.read_text('/proc/sys/kernel/random/boot_id').strip()
    # The name, in parentheses, may hold anything.
    fields = files.read_text(f'/proc/{pid}/stat').rpartition(')')[2].split()
  except OSError:
    return ''
  # One that was killed is listed until its parent has taken note.
  return 'ended' if fields[0] in 'ZX' else f'{boot} {fields[19]}'


def _sweep(folder: str, pid: int) -> None:
  """Removes what a process has left half-written."""
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
  """Returns the folders that are not there, from a local one upwards."""
  missing = []
  while not files.is_remote(folder) and not os.path.exists(folder):
    missing.append(folder)
    folder = os.path.dirname(os.path.abspath(folder))
  return missing


def _remove_empty(folders: list[str]) -> None:
  for folder in folders:
    with contextlib.suppress(OSError):
      os.rmdir(folder)
