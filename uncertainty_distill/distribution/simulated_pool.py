"""Simulates machines, to predict how long a schedule takes, and why."""

from __future__ import annotations

import collections
import dataclasses
import random

from uncertainty_distill import configs
from uncertainty_distill.distribution.scheduling import (
  Job,
  JobResult,
  LostError,
)

import tensorflow as tf


@dataclasses.dataclass
class SimulatedJob:
  """A run that takes a known time.

  Attributes:
    label: The name.
    num_steps: The whole seconds that the run takes from its beginning.
    step: The seconds of training that its newest checkpoint holds.
    path: Empty, since nothing is written.
    runtime: Not used.
  """

  label: str
  num_steps: int
  step: int = 0
  path: str = ''
  runtime: configs.RuntimeConfig = dataclasses.field(
    default_factory=configs.RuntimeConfig
  )

  def run(self, strategy: tf.distribute.Strategy) -> None:
    """Does nothing."""


@dataclasses.dataclass
class _Machine:
  """A machine.

  Attributes:
    preempted_at: The time at which the machine is taken away next.
    up_at: The time from which the machine can take a job.
    job: The job that the machine runs, if any.
    started: The time at which the job began.
  """

  preempted_at: float
  up_at: float = 0.0
  job: Job | None = None
  started: float = 0.0


class SimulatedPool:
  """A pool of machines that are taken away now and then.

  Attributes:
    parallel_jobs: The number of machines.
    parallel_evaluations: The same number.
    max_jobs: As many as a Ray cluster of these machines takes.
    now: The simulated seconds since the beginning.
    preemptions: How many times a job has been lost.
  """

  def __init__(
    self,
    num_machines: int,
    startup: float = 0.0,
    checkpoint_interval: float = 600.0,
    preemption_interval: float = float('inf'),
    outage: float = 120.0,
    seed: int = 0,
  ):
    """Makes the machines.

    Args:
      num_machines: The number of machines.
      startup: The seconds from the start of a job to its first new step.
      checkpoint_interval: The seconds of training between two checkpoints.
      preemption_interval: The mean seconds until a machine is taken away. The
        times are independent, with an exponential distribution.
      outage: The seconds until a machine is back.
      seed: The seed of the random times.
    """
    self.parallel_jobs: int = num_machines
    self.parallel_evaluations: int = num_machines
    self.max_jobs: int = num_machines + max(2, num_machines // 4)
    self.now: float = 0.0
    self.preemptions: int = 0
    self._startup, self._outage = startup, outage
    self._checkpoint_interval = checkpoint_interval
    self._preemption_interval = preemption_interval
    self._random = random.Random(seed)
    self._queue: collections.deque[Job] = collections.deque()
    self._machines = [_Machine(self._life()) for _ in range(num_machines)]

  @property
  def description(self) -> str:
    return f'{self.parallel_jobs} simulated machines'

  def __enter__(self) -> SimulatedPool:
    return self

  def __exit__(self, *error: object) -> None:
    self._queue.clear()

  def start(self, job: Job) -> None:
    self._queue.append(job)

  def wait(self) -> list[JobResult]:
    for machine in self._machines:
      if self._queue and machine.job is None and machine.up_at <= self.now:
        machine.job, machine.started = self._queue.popleft(), self.now
    machine = min(self._machines, key=self._next_event)
    self.now = self._next_event(machine)
    job, ends = machine.job, self._end(machine)
    if job and ends < machine.preempted_at:
      machine.job = None
      return [JobResult(job)]
    if self.now >= machine.preempted_at:
      machine.job, machine.up_at = None, self.now + self._outage
      machine.preempted_at = machine.up_at + self._life()
      if job:
        self.preemptions += 1
        trained = self.now - machine.started - self._startup
        kept = (job.step + trained) // self._checkpoint_interval
        kept = int(kept * self._checkpoint_interval)
        job.step = max(job.step, kept)  # pyright: ignore[reportAttributeAccessIssue]
        return [JobResult(job, error=LostError(job.label, of_machine=True))]
    return []

  def _life(self) -> float:
    interval = self._preemption_interval
    if interval == float('inf'):
      return interval
    return self._random.expovariate(1 / interval)

  def _end(self, machine: _Machine) -> float:
    """Returns when a machine's job would end."""
    if machine.job is None:
      return float('inf')
    left = machine.job.num_steps - machine.job.step
    return machine.started + self._startup + left

  def _next_event(self, machine: _Machine) -> float:
    """Returns when the next event of a machine happens."""
    if machine.job is None and machine.up_at > self.now:
      return machine.up_at
    return min(self._end(machine), machine.preempted_at)
