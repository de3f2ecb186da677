"""Explains errors that end a command but are no fault of the program."""

from __future__ import annotations

import errno
import os
import re

from uncertainty_distill.errors import DivergedError
from uncertainty_distill.io import files
from uncertainty_distill.runtime import signals

import tensorflow as tf

# The disk is full, read-only or broken, or permission is missing.
_DISK_ERRORS = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EROFS,
  errno.EACCES,
  errno.EPERM,
  errno.EFBIG,
  errno.EIO,
)
# The messages of TensorFlow's errors hold `PATH; REASON`, whatever the class.
_IN_A_MESSAGE = re.compile(
  r'(?P<path>(?:\w+:/)?/[^;{}]*); .*?(?P<reason>'
  + '|'.join(re.escape(os.strerror(number)) for number in _DISK_ERRORS)
  + ')'
)


def explain(error: Exception) -> tuple[str, int] | None:
  """Returns a line for the user and an exit code; None for other errors."""
  if isinstance(error, DivergedError):
    return f'error: {error}', 1
  disk_error = parse_disk_error(error)
  if disk_error:
    path, reason = disk_error
    return f'error: {path or "a file"}: {reason}', 2
  if isinstance(error, OSError) and files.is_remote(error.filename or ''):
    return f'error: {error.filename}: {error.strerror}', 2
  stopped = signals.received()
  if stopped:
    # Another library may have caught the exception and raised its own.
    return str(stopped), stopped.code
  lost = tf.errors.UnavailableError, tf.errors.AbortedError
  if isinstance(error, lost) and 'TF_CONFIG' in os.environ:
    return (
      'error: another worker has ended; the output of that worker says why. '
      'Start the same command on all workers to continue from the last '
      'checkpoint',
      1,
    )
  return None


def parse_disk_error(error: BaseException) -> tuple[str, str] | None:
  """Returns the path and the reason of a disk error.

  Args:
    error: An error of Python or of TensorFlow.

  Returns:
    None for other errors. The path is empty if the error does not name it.
  """
  if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
    return os.fspath(error.filename or ''), error.strerror
  if isinstance(error, tf.errors.OpError):
    match = _IN_A_MESSAGE.search(error.message)
    return match and (match['path'], match['reason'])
  return None
