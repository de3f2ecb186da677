"""Progress bars with the time left, or lines if there is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from uncertainty_distill.runtime import signals

import tqdm
from absl import logging

# Whether to draw bars if standard error is a terminal.
_drawn = True
# Whether to show progress at all.
_shown = True

_LINE = (
  '{desc}: {percentage:.0f}%, {n_fmt}/{total_fmt} '
  '[{elapsed}<{remaining}, {rate_fmt}{postfix}]'
)


def show_lines() -> None:
  """Shows progress as lines from here on; others also write to the terminal."""
  global _drawn
  _drawn = False


def hide() -> None:
  """Shows no progress from here on, since nobody would read it."""
  global _shown
  _shown = False


class _Lines:
  """A stream that writes each status of a bar on a line of its own."""

  def __init__(self, stream: TextIO):
    self._stream = stream

  def write(self, text: str) -> None:
    if line := text.strip():
      self._stream.write(f'{line}\n')

  def flush(self) -> None:
    self._stream.flush()


class Bar(tqdm.tqdm):
  """A progress bar at whose updates a signal may stop the loop."""

  def update(self, n: float | None = 1) -> bool | None:
    displayed = super().update(n)
    signals.check()
    return displayed


@contextlib.contextmanager
def progress_bar(
  total: int,
  description: str,
  unit: str,
  initial: int = 0,
  shown: bool = True,
) -> Iterator[Bar]:
  """Yields a tqdm bar on standard error for a loop that signals may stop.

  Args:
    total: The number of units until the task is done.
    description: What is being done, in a few words.
    unit: The name of one unit, such as `step` or `image`.
    initial: The number of units done before this process took over (resumed
      runs).
    shown: Whether to show the bar at all. With --verbosity=-3 none is shown.

  Raises:
    signals.Stopped: At the first update after a signal, or at the end.
  """
  style: dict[str, Any] = {'dynamic_ncols': True}
  if not _drawn or not sys.stderr.isatty():
    style = {
      'file': _Lines(sys.stderr),
      'bar_format': _LINE,
      # A log file needs a line now and then, not ten a second.
      'mininterval': 15.0,
      'maxinterval': 60.0,
    }
  bar = Bar(
    total=total,
    desc=description,
    unit=unit,
    initial=initial,
    disable=not (shown and _shown) or logging.get_verbosity() <= logging.FATAL,
    **style,
  )
  with signals.defer(), bar:
    yield bar
