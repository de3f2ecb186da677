"""Runs a job undisturbed, and the same again with kills."""

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
  """One of them.

  Attributes:
    where: The newest sign of progress.
    finished: What there was to go on from.
  """

  where: str
  finished: chaos_equality.Finished


def start(words: Sequence[str], folder: pathlib.Path) -> subprocess.Popen:
  """Starts a command in a folder; what it says goes to `said.txt` there."""
  with open(folder / 'said.txt', 'ab') as said:
    return subprocess.Popen(
      [sys.executable, _COMMANDS / words[0], *words[1:]],
      cwd=folder,
      stdout=said,
      stderr=said,
    )


def finish(words: Sequence[str], folder: pathlib.Path) -> None:
  """Runs a command to its end, which has to be a good one."""
  _check(start(words, folder).wait(_LIMIT), words, folder)


def _check(code: int, words: Sequence[str], folder: pathlib.Path) -> None:
  if code:
    said = (folder / 'said.txt').read_text(errors='replace')
    raise RuntimeError(f'{words[0]} ended with {code}:\n{said[-5000:]}')


def disturb(
  job: chaos_jobs.Job,
  folder: pathlib.Path,
  moments: Sequence[tuple[int, float]],
) -> list[Kill]:
  """Runs a job and kills it at each of the moments, then lets it end.

  Args:
    job: What it needs is in the folder.
    folder: Where.
    moments: Ascending numbers of marks that are to be seen, and seconds after.

  Returns:
    The kills; fewer where the job came to its end before.
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
    rng: Decides.
    number: The marks that it shows in all.
    kills: How often.
    seconds: How long it takes undisturbed.
  """
  progress = sorted(rng.randrange(number) for _ in range(kills))
  # The first is for the start, which takes some seconds.
  return [(0, rng.uniform(0, min(8, seconds)))] + [
    (marks, rng.uniform(0, 1)) for marks in progress[1:]
  ]


def campaign(
  name: str, job: chaos_jobs.Job, root: pathlib.Path, kills: int, seed: int
) -> tuple[list[Kill], list[str]]:
  """Runs a job undisturbed and disturbed.

  Args:
    name: Of the job.
    job: The job.
    root: Gets a folder of this name.
    kills: How many.
    seed: Of the moments.

  Returns:
    The kills, and what is wrong with the end: nothing, if all is well.
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
