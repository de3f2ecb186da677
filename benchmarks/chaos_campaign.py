"""Runs a job undisturbed, and the same job again with kills."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import chaos_equality
import chaos_jobs

_COMMANDS = pathlib.Path(__file__).resolve().parents[1] / 'baselines' / 'cifar'
_LIMIT = 600  # Seconds that a command may take.


@dataclasses.dataclass(frozen=True)
class Kill:
  """A kill of a job.

  Attributes:
    where: The newest mark of progress.
    finished: The finished work that the job can continue from.
  """

  where: str
  finished: chaos_equality.Finished


def start(words: Sequence[str], folder: pathlib.Path) -> subprocess.Popen:
  """Starts a command in a folder; its output goes to `said.txt` there."""
  with open(folder / 'said.txt', 'ab') as said:
    return subprocess.Popen(
      [sys.executable, _COMMANDS / words[0], *words[1:]],
      cwd=folder,
      stdout=said,
      stderr=said,
    )


def finish(words: Sequence[str], folder: pathlib.Path) -> None:
  """Runs a command to its end; raises a RuntimeError if it fails."""
  process = start(words, folder)
  try:
    _check(process.wait(_LIMIT), words, folder)
  finally:
    process.kill()


def _check(code: int, words: Sequence[str], folder: pathlib.Path) -> None:
  if code:
    said = (folder / 'said.txt').read_text(errors='replace')
    raise RuntimeError(f'{words[0]} ended with {code}:\n{said[-5000:]}')


def disturb(
  job: chaos_jobs.Job,
  folder: pathlib.Path,
  moments: Sequence[tuple[int, float]],
) -> list[Kill]:
  """Starts a job and kills it at each of the moments, then runs it to its end.

  Args:
    job: The job.
    folder: The folder to run in, which holds what the job needs.
    moments: When to kill the job: a number of marks of progress, in ascending
      order, and the seconds to wait after these marks.

  Returns:
    The kills; fewer than moments if the job ends earlier.
  """
  kills, seen = [], set()
  for progress, delay in moments:
    process = start(job.words, folder)
    deadline, where = time.monotonic() + _LIMIT, 'its start'
    while process.poll() is None and time.monotonic() < deadline:
      new = chaos_jobs.marks(job, folder) - seen
      seen |= new
      where = max(new, default=where)
      if len(seen) >= progress:
        break
      time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    code = process.wait()
    if code != -signal.SIGKILL:
      _check(code, job.words, folder)
      break
    kills.append(Kill(where, chaos_equality.Finished(folder / 'out')))
  finish(job.words, folder)
  return kills


def moments(
  rng: random.Random, number: int, kills: int, seconds: float
) -> list[tuple[int, float]]:
  """Draws when to kill a job.

  Args:
    rng: The source of randomness.
    number: How many marks of progress the job shows in total.
    kills: How many times to kill it.
    seconds: How long the job takes undisturbed.
  """
  progress = sorted(rng.randrange(number) for _ in range(kills))
  # The first kill comes during the start, which takes some seconds.
  return [(0, rng.uniform(0, min(8, seconds)))] + [
    (marks, rng.uniform(0, 1)) for marks in progress[1:]
  ]


def campaign(
  name: str, job: chaos_jobs.Job, root: pathlib.Path, kills: int, seed: int
) -> tuple[list[Kill], list[str]]:
  """Runs a job undisturbed and with kills, and compares the results.

  Args:
    name: The job's name.
    job: The job.
    root: The folder for a folder of the job's name.
    kills: How many times to kill the job.
    seed: The seed of the moments.

  Returns:
    The kills, and a line for each thing that is wrong with the results.
  """
  alone, killed = root / name / 'alone', root / name / 'killed'
  alone.mkdir(parents=True)
  chaos_jobs.write_study(alone)
  if job.before:
    finish(job.before, alone)
  shutil.copytree(alone, killed)
  began = time.monotonic()
  finish(job.words, alone)
  seconds = time.monotonic() - began
  number = len(chaos_jobs.marks(job, alone))
  rng = random.Random(f'{seed} {name}')
  done = disturb(job, killed, moments(rng, number, kills, seconds))
  wrong = chaos_equality.differences(alone / 'out', killed / 'out')
  for kill in done:
    wrong += kill.finished.done_twice()
  return done, wrong
