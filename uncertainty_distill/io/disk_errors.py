"""What a disk refuses, as one error that says where and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

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


@contextlib.contextmanager
def errors(argument: str, folder: str, needs: str = 'it') -> Iterator[None]:
  """Within it, a folder that cannot be written is one error that says so.

  Args:
    argument: The name of the flag that the folder comes from.
    folder: Where everything is written; errors of other places pass.
    needs: What its disk must have room for.

  Raises:
    InputError: If the disk is full, read-only or out of order.
  """
  try:
    yield
  except Exception as error:
    found = refusal(error)
    path = files.absolute(found[0] or folder) if found else ''
    if not found or not path.startswith(files.absolute(folder)):
      raise
    raise InputError(
      argument,
      folder,
      f'a folder that can be written, on a disk that has room for {needs}',
      f'{path}: {found[1]}; what is complete is kept, and the same command '
      'goes on from there',
    ) from error


def refusal(error: BaseException) -> tuple[str, str] | None:
  """Returns the path and the reason, if a disk has refused something.

  Args:
    error: Of Python or of TensorFlow.

  Returns:
    The path is empty where the error does not tell. None for another error.
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
