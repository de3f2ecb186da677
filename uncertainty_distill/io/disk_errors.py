"""Recognizes errors of Python and of TensorFlow that are those of a disk."""

from __future__ import annotations

import errno
import os
import re

# The disk is full, read-only or broken, or permission is missing.
_NUMBERS = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EROFS,
  errno.EACCES,
  errno.EPERM,
  errno.EFBIG,
  errno.EIO,
)
_REASONS = {os.strerror(number): number for number in _NUMBERS}
# The messages of TensorFlow's errors hold `PATH; REASON`, whatever the class.
_IN_A_MESSAGE = re.compile(
  r'(?P<path>(?:\w+:/)?/[^;{}]*); .*?(?P<reason>'
  + '|'.join(map(re.escape, _REASONS))
  + ')'
)


def as_disk_error(error: BaseException) -> OSError | None:
  """Returns an error of the disk as Python raises it.

  Args:
    error: An error of Python or of TensorFlow.

  Returns:
    An error with number, reason and, if it is known, the path; None for other
    errors.
  """
  if isinstance(error, OSError):
    return error if error.errno in _NUMBERS else None
  # Local files are read and written without TensorFlow, which takes seconds to
  # import.
  if type(error).__module__.partition('.')[0] != 'tensorflow':
    return None
  match = _IN_A_MESSAGE.search(getattr(error, 'message', ''))
  if not match:
    return None
  return OSError(_REASONS[match['reason']], match['reason'], match['path'])
