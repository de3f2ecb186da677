"""Timing by turns: what slows one contestant's turn slows its neighbours'."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# Seconds of each turn, by contestant.
Times = Mapping[str, Sequence[float]]


def take_turns(
  contestants: Mapping[str, Callable[[], object]], rounds: int
) -> Times:
  """Runs contestants one after the other, so many rounds.

  Args:
    contestants: Each runs to its end when called. The first two calls, which
      compile and fill caches, are not timed.
    rounds: Turns that each one takes.

  Returns:
    The seconds of each turn.
  """
  for run in contestants.values():
    run()
    run()
  times = {name: [] for name in contestants}
  for _ in range(rounds):
    for name, run in contestants.items():
      start = time.perf_counter()
      run()
      times[name].append(time.perf_counter() - start)
  return times


def ratios(times: Times, name: str, to: str) -> list[float]:
  """Returns one contestant's time relative to another's, turn by turn."""
  return list(map(operator.truediv, times[name], times[to]))


def spread(values: Sequence[float], digits: int) -> str:
  """Formats a median with the quartiles beside it."""
  low, high = np.quantile(values, [0.25, 0.75])
  middle = statistics.median(values)
  return f'{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})'


def cells(times: Times, name: str, to: str) -> list[str]:
  """Returns a contestant's milliseconds and its ratio, as cells of a table."""
  milliseconds = [1e3 * seconds for seconds in times[name]]
  digits = 1 if statistics.median(milliseconds) >= 10 else 2
  return [spread(milliseconds, digits), spread(ratios(times, name, to), 3)]


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
  """Prints a Markdown table, its first column to the left, others right."""
  print(f'| {" | ".join(header)} |')
  print('|---' + '|--:' * (len(header) - 1) + '|')
  for row in rows:
    print(f'| {" | ".join(row)} |')
