"""Explains errors that end a command but are no fault of the program."""

from __future__ import annotations

import os

from uncertainty_distill.errors import DivergedError
from uncertainty_distill.io import disk_errors, files
from uncertainty_distill.runtime import signals

import tensorflow as tf


def explain(error: Exception) -> tuple[str, int] | None:
  """Returns a line for the user and an exit code; None for other errors."""
  if isinstance(error, DivergedError):
    return f'error: {error}', 1
  if isinstance(error, ChildProcessError):
    return f'error: {error}', 1
  disk_error = disk_errors.as_disk_error(error)
  if disk_error:
    return f'error: {disk_error.filename or "a file"}: {disk_error.strerror}', 2
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
