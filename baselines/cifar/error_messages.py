"""What ends a command and is no fault of the program: one line, a code."""

from __future__ import annotations

import os

from uncertainty_distill.errors import DivergedError
from uncertainty_distill.io import disk_errors, files
from uncertainty_distill.runtime import signals

import tensorflow as tf


def explain(error: Exception) -> tuple[str, int] | None:
  """Returns what to say and what to exit with; None for another error."""
  if isinstance(error, DivergedError):
    return f'error: {error}', 1
  refused = disk_errors.parse_disk_error(error)
  if refused:
    path, reason = refused
    return f'error: {path or "a file"}: {reason}', 2
  if isinstance(error, OSError) and files.is_remote(error.filename or ''):
    return f'error: {error.filename}: {error.strerror}', 2
  stopped = signals.received()
  if stopped:
    # What the exception went through may have made another one of it.
    return str(stopped), stopped.code
  lost = tf.errors.UnavailableError, tf.errors.AbortedError
  if isinstance(error, lost) and 'TF_CONFIG' in os.environ:
    return (
      'error: another worker is gone: what it wrote says why; the same '
      'command on all workers goes on from the last checkpoint',
      1,
    )
  return None
