"""Recognizes the errors of a disk: full, read-only, not permitted, broken."""

from __future__ import annotations

import errno
import os
import re
import sys

_NUMBERS = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EROFS,
  errno.EACCES,
  errno.EPERM,
  errno.EFBIG,
  errno.EIO,
)
# TensorFlow's errors hold `PATH; REASON`, whatever their class is.
_IN_A_MESSAGE = re.compile(
  r'(?P<path>(?:\w+:/)?/[^;{}]*); .*?(?P<reason>'
  + '|'.join(re.escape(os.strerror(number)) for number in _NUMBERS)
  + ')'
)


def parse_disk_error(error: BaseException) -> tuple[str, str] | None:
  """Returns the path and the reason of an error of a disk.

  Args:
    error: Of Python or of TensorFlow.

  Returns:
    None for another error. The path is empty where the error does not tell.
  """
  if isinstance(error, OSError):
    if error.errno not in _NUMBERS:
      return None
    return os.fspath(error.filename or ''), error.strerror
  # Not every process that writes needs TensorFlow.
  tensorflow = sys.modules.get('tensorflow')
  if tensorflow and isinstance(error, tensorflow.errors.OpError):
    match = _IN_A_MESSAGE.search(error.message)
    return match and (match['path'], match['reason'])
  return None
