"""Progress bars with the time left; line by line where there is no terminal."""

from __future__ import annotations

import sys

import tqdm


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
    shown: Whether to show it at all.
  """
  terminal = sys.stderr.isatty()
  return tqdm.tqdm(
      total=total,
      desc=description,
      unit=unit,
      initial=initial,
      disable=not shown,
      dynamic_ncols=terminal,
      ncols=None if terminal else 100,
      # A log file wants a line now and then, not ten a second.
      mininterval=0.1 if terminal else 15.0,
      maxinterval=10.0 if terminal else 60.0,
  )
