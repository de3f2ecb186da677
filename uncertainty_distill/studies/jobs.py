"""Trains runs in turn, or side by side in processes of their own."""

from __future__ import annotations

import collections
import dataclasses
import logging
import multiprocessing
import multiprocessing.connection
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import configs, distribution, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError, InputError
from uncertainty_distill.io import locks
from uncertainty_distill.runtime import progress, signals

import absl.logging
import tensorflow as tf

_PACKAGE = 'uncertainty_distill'
_logger = logging.getLogger(__name__)
# Seconds between two looks at whether a signal has come.
_PATIENCE = 0.5


@dataclasses.dataclass(frozen=True)
class Job:
  """A run to train.

  Attributes:
    label: The name in lines of progress and in what is returned.
    config: The configuration, resolved or not.
    path: The run folder.
    evaluate: Whether to evaluate on the clean test set while training.
  """

  label: str
  config: configs.ExperimentConfig
  path: str
  evaluate: bool

  def run(self, strategy: tf.distribute.Strategy) -> None:
    """Trains on devices, in this process."""
    experiment = training.open_experiment(self.config, strategy)
    training.train(experiment, self.path, self.evaluate, self.label)


def train(
  jobs: Sequence[Job], strategy: tf.distribute.Strategy, num_processes: int
) -> list[str]:
  """Trains runs; those that diverge do not stop the rest.

  Args:
    jobs: What to train; complete runs are left alone.
    strategy: The devices.
    num_processes: How many are trained at a time. One is trained in this
      process; several in processes of their own, each with a part of the CPU's
      cores unless its `runtime.num_threads` says otherwise. A run is the same
      in either, to the bit, with as many threads.

  Returns:
    The labels of the runs that diverged.

  Raises:
    InputError: If something that the user gave is wrong, or if there are other
      devices than one CPU for several processes.
    OSError: If a process was killed; what it trained is kept up to the last
      checkpoint.
    KeyboardInterrupt: After a signal, once all that was trained is saved.
  """
  diverged = []

  def note(job: Job, error: DivergedError) -> None:
    diverged.append(job.label)
    if workers.is_chief(strategy):
      _logger.warning(f'{error}; the study goes on without it')

  if num_processes > 1:
    devices = strategy.num_replicas_in_sync
    if devices > 1 or distribution.device_type(strategy) != 'CPU':
      raise InputError(
        'parallel', num_processes, '1 on other devices than one CPU'
      )
    _train_side_by_side(jobs, num_processes, note)
    return diverged
  for job in jobs:
    try:
      job.run(strategy)
    except DivergedError as error:
      note(job, error)
  return diverged


def _train_side_by_side(
  jobs: Sequence[Job],
  num_processes: int,
  note: Callable[[Job, DivergedError], None],
) -> None:
  """Trains runs in processes that take one job after the other.

  Args:
    jobs: See `train`.
    num_processes: See `train`.
    note: Called with what diverges.
  """
  waiting = collections.deque(jobs)
  for job in jobs:
    # The number is kept with the run, since results depend on it.
    job.config.runtime.num_threads = job.config.runtime.num_threads or max(
      1, (os.cpu_count() or 1) // num_processes
    )
  pool: list[_Process] = []
  with signals.defer():
    try:
      pool += [_Process() for _ in jobs[:num_processes]]
      for process in pool:
        process.give(waiting.popleft())
      while busy := {process.pipe: process for process in pool if process.job}:
        ready: list[Any] = multiprocessing.connection.wait([*busy], _PATIENCE)
        for pipe in ready:
          job, error = busy[pipe].take()
          if isinstance(error, DivergedError):
            note(job, error)
          elif error is not None:
            raise error
          if waiting:
            busy[pipe].give(waiting.popleft())
        signals.check()
    finally:
      for process in pool:
        process.end()
      for process in pool:
        process.join()


class _Process:
  """A process that trains one run at a time.

  Attributes:
    pipe: Is ready when a job is done.
    job: What it does; None if it has nothing to do.
  """

  def __init__(self):
    context = multiprocessing.get_context('spawn')
    self.pipe, other_end = context.Pipe()
    self.job: Job | None = None
    options = absl.logging.get_verbosity(), logging.getLogger(_PACKAGE).level
    # A Ctrl-C on the terminal is for this process, which ends the others.
    with signals.block():
      self._process = context.Process(target=_work, args=[other_end, *options])
      self._process.start()
    other_end.close()

  def give(self, job: Job) -> None:
    """Starts a job."""
    self.job = job
    self.pipe.send(job)

  def take(self) -> tuple[Job, Exception | None]:
    """Returns the job that is done, and the error that ended it, if any."""
    assert self.job is not None
    job, self.job = self.job, None
    try:
      return job, self.pipe.recv()
    except EOFError:
      self._process.join()
      return job, ChildProcessError(
        f'the process that trained {job.label} ended with exit code '
        f'{self._process.exitcode}; run the same command to continue'
      )

  def end(self) -> None:
    """Has the process end, once it has saved what it trains."""
    if self.job:
      self._process.terminate()
    self.pipe.close()

  def join(self) -> None:
    """Waits for the end of the process."""
    self._process.join()


def _work(
  pipe: multiprocessing.connection.Connection, verbosity: int, level: int
) -> None:
  """Trains what comes through a pipe until its other end is closed."""
  # Out of reach of a Ctrl-C; still of the session whose niceness counts.
  os.setpgrp()
  signals.end_with_parent()
  absl.logging.set_verbosity(verbosity)
  logger = logging.getLogger(_PACKAGE)
  logger.setLevel(level)
  logger.addHandler(logging.StreamHandler(sys.stderr))
  logger.propagate = False
  progress.show_lines()
  signals.install(locks.remove_all)
  signals.unblock()
  while True:
    try:
      job = pipe.recv()
    except EOFError:
      return
    try:
      job.run(distribution.make_strategy(job.config.runtime))
      result = None
    except signals.Stopped as stopped:
      sys.exit(stopped.code)
    except (InputError, DivergedError, OSError) as error:
      result = error
    pipe.send(result)
