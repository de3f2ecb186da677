"""TensorFlow's own remarks on what it converts, kept from the user."""

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
  """Holds back what is written to stderr; an error shows it after all.

  TensorFlow's C++ writes there also what its log level rules out.
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
