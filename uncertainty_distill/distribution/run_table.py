"""A table on the terminal, with one line for each run that a pool has."""

from __future__ import annotations

import itertools
import logging
import shutil
import sys
import time
from collections.abc import Sequence

from uncertainty_distill.distribution import scheduling
from uncertainty_distill.io import locks

import absl.logging

# The seconds between two drawings, which read the folders of the runs.
_INTERVAL = 5.0


class RunTable:
  """Shows what runs, where, and how far it is. Call it with a schedule.

  On a terminal the table is redrawn in place. Elsewhere a line is written when
  something changes, so a log file tells what happened in which order.
  """

  def __init__(self):
    self._stream = sys.stderr
    self._next = 0.0
    self._drawn: list[str] = []
    self._states: dict[str, str] = {}
    # A warning stays visible: the next table is drawn below it.
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: self._drawn.clear()
    logging.getLogger('uncertainty_distill').addHandler(handler)

  def __call__(self, schedule: scheduling.Schedule) -> None:
    """Draws the table, unless it was drawn a moment ago."""
    if absl.logging.get_verbosity() <= absl.logging.FATAL:
      return
    if not self._stream.isatty():
      self._log(schedule)
      return
    if time.monotonic() < self._next and not schedule.is_over:
      return
    columns, rows = shutil.get_terminal_size()
    lines = [*_lines(schedule, max(1, rows - 3)), _summary(schedule)]
    # In a bucket, reading the lines takes time.
    self._next = time.monotonic() + _INTERVAL
    lines = [line[: columns - 1] for line in lines]
    # Goes up to where the table began, and clears everything from there on.
    up = f'\x1b[{len(self._drawn)}F' if self._drawn else ''
    self._stream.write(up + '\x1b[J' + '\n'.join(lines) + '\n')
    self._stream.flush()
    self._drawn = [] if schedule.is_over else lines

  def _log(self, schedule: scheduling.Schedule) -> None:
    """Writes a line for each task whose state has changed."""
    states = {r.job.label: 'running' for r in schedule.running.values()}
    states |= dict.fromkeys(schedule.done, 'done')
    states |= dict.fromkeys(schedule.errors, 'failed')
    for name, state in states.items():
      if self._states.get(name) != state:
        self._stream.write(f'{name}: {state}; {_summary(schedule)}\n')
    self._states = states


def _lines(schedule: scheduling.Schedule, most: int) -> Sequence[str]:
  """Returns a line for each of the first runs that a pool has."""
  rows = []
  for running in itertools.islice(schedule.running.values(), most):
    job = running.job
    holder = locks.read_holder(job.path) if job.path else None
    state = 'queued' if job.path else ''  # No folder, no holder.
    if holder:
      state = f'on {holder["host"]} since {holder["since"]}'
    lost = f'lost {running.retries} times' if running.retries else ''
    rows.append(
      (
        job.label,
        f'step {job.step} of {job.num_steps} saved' if job.num_steps else '',
        state,
        lost,
      )
    )
  widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
  return [
    '  '.join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip()
    for row in rows
  ]


def _summary(schedule: scheduling.Schedule) -> str:
  left = len(schedule.tasks) - len(schedule.done) - len(schedule.errors)
  return (
    f'{len(schedule.done)} of {len(schedule.tasks)} done, '
    f'{len(schedule.running)} with the cluster, '
    f'{left - len(schedule.running)} waiting, {len(schedule.errors)} failed'
  )
