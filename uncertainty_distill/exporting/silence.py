"""Hides the messages that TensorFlow writes while it converts a model."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def silence() -> Iterator[None]:
  """Hides the output to stderr, and shows it if an error is raised.

  TensorFlow's C++ code writes to stderr even messages that its log level rules
  out. Meanwhile the whole process writes nothing to stderr, including its other
  threads.
  """
  sys.stderr.flush()
  kept = os.dup(_STDERR)
  with tempfile.TemporaryFile() as held, warnings.catch_warnings():
    warnings.simplefilter('ignore')
    os.dup2(held.fileno(), _STDERR)
    try:
      yield
    except BaseException:
      held.seek(0)
      os.write(kept, held.read())
      raise
    finally:
      os.dup2(kept, _STDERR)
      os.close(kept)
