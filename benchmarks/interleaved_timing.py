"""Times candidates in turn, so that what slows one slows the others, too."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

# Seconds of each round, by candidate.
Times = Mapping[str, Sequence[float]]


def time_interleaved(
  candidates: Mapping[str, Callable[[], object]], rounds: int
) -> Times:
  """Runs candidates one after the other in each of several rounds.

  Args:
    candidates: The functions to time. Their first two calls, which compile and
      fill caches, are not timed.
    rounds: The number of timed calls of each candidate.

  Returns:
    The seconds of each timed call, by candidate.
  """
  for run in candidates.values():
    run()
    run()
  times = {name: [] for name in candidates}
  for _ in range(rounds):
    for name, run in candidates.items():
      start = time.perf_counter()
      run()
      times[name].append(time.perf_counter() - start)
  return times


def ratios(times: Times, name: str, to: str) -> list[float]:
  """Returns one candidate's time relative to another's, round by round."""
  return list(map(operator.truediv, times[name], times[to]))


def spread(values: Sequence[float], digits: int) -> str:
  """Formats a median with the quartiles in parentheses."""
  low, high = np.quantile(values, [0.25, 0.75])
  middle = statistics.median(values)
  return f'{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})'


def cells(times: Times, name: str, to: str) -> list[str]:
  """Returns a candidate's milliseconds and its ratio, as cells of a table."""
  milliseconds = [1e3 * seconds for seconds in times[name]]
  digits = 1 if statistics.median(milliseconds) >= 10 else 2
  return [spread(milliseconds, digits), spread(ratios(times, name, to), 3)]


def taking(batches: Iterable[object], number: int) -> Callable[[], None]:
  """Returns a function that takes batches from an endless iterable."""
  iterator = iter(batches)

  def run():
    for _ in range(number):
      next(iterator)

  return run


def print_rates(heading: str, times: Times, to: str, images: int) -> None:
  """Prints a table of images per second.

  Args:
    heading: The heading above the candidates' names.
    times: The seconds of each call, by candidate.
    to: The candidate that the others are compared with.
    images: The number of images in each call.
  """
  print_table(
    [heading, 'images/s', 'ratio of times'],
    [
      [
        name,
        spread([images / s for s in times[name]], 0),
        spread(ratios(times, name, to), 3),
      ]
      for name in times
    ],
  )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
  """Prints a Markdown table with its numbers aligned to the right."""
  print(f'| {" | ".join(header)} |')
  print('|---' + '|--:' * (len(header) - 1) + '|')
  for row in rows:
    print(f'| {" | ".join(row)} |')
