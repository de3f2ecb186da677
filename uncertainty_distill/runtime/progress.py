"""Progress bars with the time left; line by line where there is no terminal."""

from __future__ import annotations

import sys
from typing import TextIO

import tqdm
from absl import logging

_LINE = (
  '{desc}: {percentage:.0f}%, {n_fmt}/{total_fmt} '
  '[{elapsed}<{remaining}, {rate_fmt}{postfix}]'
)


class _Lines:
  """A stream that ends each status of a bar instead of drawing over it."""

  def __init__(self, stream: TextIO):
    self._stream = stream

  def write(self, text: str) -> None:
    if line := text.strip():
      self._stream.write(f'{line}\n')

  def flush(self) -> None:
    self._stream.flush()


def progress_bar(
  total: int,
  description: str,
  unit: str,
  initial: int = 0,
  shown: bool = True,
) -> tqdm.tqdm:
  """Returns a tqdm bar on standard error.

  Args:
    total: The number of units until the task is done.
    description: What is being done, in a few words.
    unit: The name of one unit, such as `step` or `image`.
    initial: The units done before this process took over (resumed runs).
    shown: Whether to show it at all; with --verbosity=-3 none is shown.
  """
  terminal = sys.stderr.isatty()
  style = (
    {'dynamic_ncols': True}
    if terminal
    else {
      'file': _Lines(sys.stderr),
      'bar_format': _LINE,
      # A log file wants a line now and then, not ten a second.
      'mininterval': 15.0,
      'maxinterval': 60.0,
    }
  )
  return tqdm.tqdm(
    total=total,
    desc=description,
    unit=unit,
    initial=initial,
    disable=not shown or logging.get_verbosity() <= logging.FATAL,
    **style,
  )
