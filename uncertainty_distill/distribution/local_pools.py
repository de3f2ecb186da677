"""Runs jobs in this process, or side by side in processes of this machine."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import sys
from collections.abc import Iterator
from typing import Any

from uncertainty_distill.distribution import scheduling
from uncertainty_distill.distribution.scheduling import (
  Job,
  JobResult,
  LostError,
)
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.io import locks
from uncertainty_distill.runtime import progress, signals

import absl.logging
import tensorflow as tf

_PACKAGE = 'uncertainty_distill'
# Seconds between two checks for a signal.
_PATIENCE = 0.5
_GPUS = 'CUDA_VISIBLE_DEVICES'


class SerialPool:
  """A pool that runs one job after the other in this process.

  Attributes:
    max_jobs: 1, since jobs run one at a time.
    parallel_jobs: 1.
    parallel_evaluations: 0, since there is no other process.
  """

  max_jobs = parallel_jobs = 1
  parallel_evaluations = 0
  description = 'this process'

  def __init__(self, strategy: tf.distribute.Strategy):
    """Makes the pool.

    Args:
      strategy: The devices. If they belong to several workers, the workers run
        the same jobs together.
    """
    self._strategy = strategy
    self._job: Job | None = None

  def __enter__(self) -> SerialPool:
    return self

  def __exit__(self, *error: object) -> None:
    self._job = None

  def start(self, job: Job) -> None:
    self._job = job

  def wait(self) -> list[JobResult]:
    job, self._job = self._job, None
    assert job is not None
    try:
      return [JobResult(job, job.run(self._strategy))]
    except DivergedError as error:
      return [JobResult(job, error=error)]


class ProcessPool:
  """A pool of processes that each run one job after the other.

  Attributes:
    max_jobs: The number of jobs that run at a time.
    parallel_jobs: The same number.
    parallel_evaluations: The same number with GPUs, else 0: processes that
      share the CPU's cores are no faster than this process alone.
  """

  def __init__(self, num_processes: int, num_gpus: int = 0):
    """Makes the pool; a process is started when a job needs it.

    Args:
      num_processes: The number of jobs that run at a time. Without GPUs, each
        job gets an equal part of the CPU's cores unless its
        `runtime.num_threads` says otherwise.
      num_gpus: The number of GPUs: `num_processes`, so that each process has
        its own GPU, or 0.
    """
    self.max_jobs: int = num_processes
    self.parallel_jobs: int = num_processes
    self.parallel_evaluations: int = num_processes if num_gpus else 0
    visible = os.environ.get(_GPUS) or ','.join(map(str, range(num_gpus)))
    self._gpus = visible.split(',')[:num_gpus]
    self._processes: list[_Process] = []
    self._context = contextlib.ExitStack()

  @property
  def description(self) -> str:
    """A line about the processes."""
    gpus = ', a GPU each' if self._gpus else ''
    return f'{self.max_jobs} processes{gpus}'

  def __enter__(self) -> ProcessPool:
    self._context = contextlib.ExitStack()
    self._context.enter_context(signals.defer())
    return self

  def __exit__(self, *error: Any) -> None:
    for process in self._processes:
      process.end()
    for process in self._processes:
      process.join()
    self._processes = []
    self._context.__exit__(*error)

  def start(self, job: Job) -> None:
    if not self._gpus:
      # The run folder keeps the number, since results depend on it.
      job.runtime.num_threads = job.runtime.num_threads or max(
        1, (os.cpu_count() or 1) // self.max_jobs
      )
    self._idle_process(job.runtime.num_threads).give(job)

  def _idle_process(self, num_threads: int) -> _Process:
    """Returns a process without a job whose number of threads is as given.

    TensorFlow cannot change the number in a process.
    """
    idle = [process for process in self._processes if not process.job]
    for process in idle:
      if process.num_threads == num_threads:
        return process
    if len(self._processes) == self.max_jobs:
      self._processes.remove(idle[0])
      idle[0].end()
      idle[0].join()
    taken = {process.gpu for process in self._processes}
    free = [gpu for gpu in self._gpus if gpu not in taken]
    self._processes.append(_Process(free[0] if free else '', num_threads))
    return self._processes[-1]

  def wait(self) -> list[JobResult]:
    busy = {process.pipe: process for process in self._processes if process.job}
    ready: list[Any] = multiprocessing.connection.wait([*busy], _PATIENCE)
    ended = [busy[pipe].take() for pipe in ready]
    lost = [busy[pipe] for pipe in ready if busy[pipe].is_gone]
    self._processes = [p for p in self._processes if p not in lost]
    return ended


class _Process:
  """A process that runs one job at a time.

  Attributes:
    pipe: The pipe to the process, which is ready when a job is done.
    job: The job that the process runs; None if the process is idle.
    gpu: The GPU that the process has for itself; empty for none.
    num_threads: The number of threads of its jobs; 0 for TensorFlow's own.
    is_gone: Whether the process has ended unexpectedly.
  """

  def __init__(self, gpu: str, num_threads: int):
    context = multiprocessing.get_context('spawn')
    self.pipe, other_end = context.Pipe()
    self.job: Job | None = None
    self.gpu = gpu
    self.num_threads = num_threads
    self.is_gone = False
    options = absl.logging.get_verbosity(), logging.getLogger(_PACKAGE).level
    # Only this process handles Ctrl-C on the terminal; it ends the others.
    with signals.block(), _environment(_GPUS, gpu):
      self._process = context.Process(target=_work, args=[other_end, *options])
      self._process.start()
    other_end.close()

  def give(self, job: Job) -> None:
    """Starts a job."""
    self.job = job
    # If the process is gone, `take` reports it.
    with contextlib.suppress(BrokenPipeError):
      self.pipe.send(job)

  def take(self) -> JobResult:
    """Returns how the job has ended."""
    assert self.job is not None
    job, self.job = self.job, None
    try:
      ended = self.pipe.recv()
      return JobResult(job, ended.result, ended.error)
    except (EOFError, ConnectionResetError):
      self._process.join()
      self.is_gone = True
      code = self._process.exitcode
      text = f'the process of {job.label} ended with exit code {code}'
      return JobResult(job, error=LostError(text))

  def end(self) -> None:
    """Makes the process end, once it has saved what it trains."""
    if self.job:
      self._process.terminate()
    self.pipe.close()

  def join(self) -> None:
    """Waits for the end of the process."""
    self._process.join()


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
  """Sets a variable for processes started within, unless the value is ''."""
  before = os.environ.get(name)
  if value:
    os.environ[name] = value
  try:
    yield
  finally:
    if before is not None:
      os.environ[name] = before
    elif value:
      del os.environ[name]


def _work(
  pipe: multiprocessing.connection.Connection, verbosity: int, level: int
) -> None:
  """Runs the jobs that come through a pipe until its other end is closed."""
  # Ctrl-C does not reach another process group. The session, whose niceness
  # counts, stays the same.
  os.setpgrp()
  signals.end_with_parent()
  absl.logging.set_verbosity(verbosity)
  logger = logging.getLogger(_PACKAGE)
  logger.setLevel(level)
  logger.addHandler(logging.StreamHandler(sys.stderr))
  logger.propagate = False
  progress.show_lines()
  signals.install(locks.remove_all)
  signals.ignore_repeats()
  signals.unblock()
  while True:
    try:
      job = pipe.recv()
    except EOFError:
      return
    try:
      ended = scheduling.execute(job)
    except signals.Stopped as stopped:
      sys.exit(stopped.code)
    pipe.send(ended)
