"""One scheduler of tasks that need each other, over several ways to run them.

A pool runs jobs: in this process, in processes of this machine (`local_pools`)
or on the machines of a Ray cluster (`ray_pool`). What to run next, what is run
again after a machine was lost, and what is dropped because something that it
needs has failed is decided here, for all of them.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from uncertainty_distill import configs
from uncertainty_distill.distribution import strategies
from uncertainty_distill.errors import DivergedError, InputError
from uncertainty_distill.runtime import signals

import tensorflow as tf

_logger = logging.getLogger(__name__)
# How often in a row a job may be lost without a step that is kept: when its
# process alone has died, for which it may be at fault itself, and when its
# machine is gone. With preemptions once an hour and checkpoints every ten
# minutes one machine in six comes to none.
_MAX_LOSSES = {False: 3, True: 20}


class UnsavedJob:
  """The part of a `Job` that writes nothing and keeps no step.

  Attributes:
    config: The configuration, whose devices and threads it uses.
    path: Empty, since nothing is written.
    step: Zero, since nothing is kept.
    num_steps: Zero, likewise.
  """

  config: configs.ExperimentConfig
  path: str = ''
  step: int = 0
  num_steps: int = 0

  @property
  def runtime(self) -> configs.RuntimeConfig:
    """The devices and threads to use."""
    return self.config.runtime


class Job(Protocol):
  """Work that another process can do; it can be pickled.

  Attributes:
    label: The name in lines of progress and in Ray's dashboard.
    path: The folder that it writes to; empty for none.
    runtime: The devices and threads to use.
  """

  label: str
  path: str

  @property
  def runtime(self) -> configs.RuntimeConfig: ...

  @property
  def num_steps(self) -> int:
    """The number of steps of the whole job."""
    ...

  @property
  def step(self) -> int:
    """The step that it would go on from, were its machine lost now."""
    ...

  def run(self, strategy: tf.distribute.Strategy) -> Any:
    """Does it, and returns what another process can be sent."""
    ...


class LostError(Exception):
  """The process or the machine that ran a job is gone.

  Attributes:
    of_machine: Whether the whole machine is, or was about to be.
  """

  def __init__(self, text: str, of_machine: bool = False):
    super().__init__(text)
    self.of_machine = of_machine


@dataclasses.dataclass(frozen=True)
class Ended:
  """A job that has come to an end.

  Attributes:
    job: The job.
    result: What it returned.
    error: What it raised; None if all went well.
  """

  job: Job
  result: Any = None
  error: Exception | None = None


class Pool(Protocol):
  """A way to run jobs.

  As a context it is ready for jobs; at the end it stops those that still run,
  once they have saved what they have.
  """

  @property
  def capacity(self) -> int:
    """How many jobs it takes at a time."""
    ...

  @property
  def machines(self) -> int:
    """How many jobs run at the same time."""
    ...

  @property
  def slots(self) -> int:
    """How many evaluations it is worth to run at the same time; 0 for none."""
    ...

  def __enter__(self) -> Any: ...

  def __exit__(self, *error: object) -> None: ...

  def start(self, job: Job) -> None:
    """Takes a job."""
    ...

  def wait(self) -> list[Ended]:
    """Returns what has ended, perhaps nothing, in a second or so."""
    ...


@dataclasses.dataclass(eq=False)
class Task:
  """A job that follows from what other tasks have come to.

  Attributes:
    name: A name of its own.
    prepare: Called in this process once all that the task needs is done:
      returns the job, or None where nothing is left to do.
    needs: The names of the tasks that must be done before.
    cost: What it takes, in any unit that all tasks share.
    finish: Called with what the job returned.
  """

  name: str
  prepare: Callable[[], Job | None]
  needs: Sequence[str] = ()
  cost: float = 1.0
  finish: Callable[[Any], object] = lambda result: None


@dataclasses.dataclass(eq=False)
class Running:
  """A task whose job a pool has.

  Attributes:
    task: The task.
    job: The job.
    kept: The step that the job went on from.
    losses: How often it was lost in a row without a further step kept.
    retries: How often it was lost at all.
  """

  task: Task
  job: Job
  kept: int
  losses: int = 0
  retries: int = 0


class Schedule:
  """What is to be done, what is being done, and what has failed.

  Attributes:
    tasks: All tasks, by their names.
    waiting: The names of tasks that have not begun, the most urgent first.
    running: What a pool has, by the job's identity.
    done: The names of the tasks that are done.
    errors: Why a task is not done and will not be, by its name: its own error,
      or that of a task which it needs.
  """

  def __init__(self, tasks: Sequence[Task], in_order: bool = False):
    """Plans tasks.

    Args:
      tasks: Each after those that it needs.
      in_order: Whether to run them one after the other as they are given. By
        default what has most work behind it comes first: no machine is then
        left at the end with a teacher whose students all others wait for.
    """
    self.tasks: dict[str, Task] = {task.name: task for task in tasks}
    self.running: dict[int, Running] = {}
    self.done: set[str] = set()
    self.errors: dict[str, Exception] = {}
    self._lost: collections.deque[Running] = collections.deque()
    self._dependents: dict[str, list[str]] = {name: [] for name in self.tasks}
    for task in tasks:
      for name in task.needs:
        self._dependents[name].append(task.name)
    self.waiting: list[str] = list(self.tasks)
    if not in_order:
      behind = self._work_behind()
      self.waiting.sort(key=lambda name: -behind[name])

  @property
  def is_over(self) -> bool:
    """Whether nothing runs and nothing waits."""
    return not (self.waiting or self.running or self._lost)

  def next(self) -> Job | None:
    """Returns the next job to start; None where all wait for others.

    Raises:
      InputError: If something that the user gave is wrong.
    """
    if self._lost:
      return self._started(self._lost.popleft())
    for name in list(self.waiting):
      # A failure may have dropped it since.
      if name not in self.waiting or not self.done.issuperset(
        self.tasks[name].needs
      ):
        continue
      self.waiting.remove(name)
      task = self.tasks[name]
      try:
        job = task.prepare()
      except DivergedError as error:
        self._fail(task, error)
        continue
      if job is not None:
        return self._started(Running(task, job, job.step))
      self.done.add(name)
    # What was done just now may be what an earlier one has waited for.
    ready = (self.done.issuperset(self.tasks[n].needs) for n in self.waiting)
    return self.next() if any(ready) else None

  def end(self, ended: Ended) -> None:
    """Notes what has come of a job.

    Raises:
      InputError: If something that the user gave is wrong.
    """
    running = self.running.pop(id(ended.job))
    if isinstance(ended.error, InputError):
      raise ended.error
    if isinstance(ended.error, LostError):
      self._lose(running, ended.error)
    elif ended.error is not None:
      self._fail(running.task, ended.error)
    else:
      running.task.finish(ended.result)
      self.done.add(running.task.name)

  def _started(self, running: Running) -> Job:
    self.running[id(running.job)] = running
    return running.job

  def _lose(self, running: Running, error: LostError) -> None:
    """Has a lost job begin again, unless that is of no use."""
    step = running.job.step
    running.losses = 1 if step > running.kept else running.losses + 1
    running.kept = step
    running.retries += 1
    if running.losses < _MAX_LOSSES[error.of_machine]:
      _logger.warning(f'{error}; {running.job.label} goes on from step {step}')
      self._lost.append(running)
    else:
      text = f'{error}, {running.losses} times without a new checkpoint'
      self._fail(running.task, ChildProcessError(text))

  def _fail(self, task: Task, error: Exception) -> None:
    """Drops a task, what needs it, and what only those need."""
    _logger.warning(f'{error}; the rest goes on without it')
    self.errors[task.name] = error
    dropped = [task.name]
    for name in self.tasks:
      lacking = [n for n in self.tasks[name].needs if n in dropped]
      if name in self.waiting and lacking:
        dropped.append(name)
        self._drop(name, error)
        _logger.warning(f'{name} is left out: {lacking[0]} is missing')
    for name in reversed(self.waiting):
      dependents = self._dependents[name]
      if dependents and all(n in self.errors for n in dependents):
        self._drop(name, error)

  def _drop(self, name: str, error: Exception) -> None:
    self.waiting.remove(name)
    self.errors[name] = error

  def _work_behind(self) -> dict[str, float]:
    """Returns the cost of the longest chain that begins with each task."""
    behind: dict[str, float] = {}
    for name in reversed(self.tasks):
      chains = [behind[n] for n in self._dependents[name]]
      behind[name] = self.tasks[name].cost + max(chains, default=0.0)
    return behind


def run(
  tasks: Sequence[Task],
  pool: Pool,
  show: Callable[[Schedule], object] = lambda schedule: None,
) -> Mapping[str, Exception]:
  """Runs tasks; one that fails does not stop those that do not need it.

  Args:
    tasks: Each after those that it needs.
    pool: Where jobs are run.
    show: Called now and then with what has come of them so far.

  Returns:
    By name, why tasks are not done: training diverged, their own or that of
    what they need.

  Raises:
    InputError: If something that the user gave is wrong: at once, since it is
      likely to be wrong in all tasks.
    Exception: The first other error, at once where tasks run in turn, else
      after all the rest is done.
    KeyboardInterrupt: After a signal, once all that was trained is saved.
  """
  schedule = Schedule(tasks, in_order=pool.capacity == 1)
  with pool:
    while not schedule.is_over:
      while len(schedule.running) < pool.capacity and (job := schedule.next()):
        pool.start(job)
        show(schedule)
      if schedule.running:
        for ended in pool.wait():
          schedule.end(ended)
      show(schedule)
      signals.check()
  for error in schedule.errors.values():
    if not isinstance(error, DivergedError):
      raise error
  return schedule.errors


def execute(job: Job) -> Ended:
  """Does a job in a process that is there for it, and returns how it ended.

  Raises:
    KeyboardInterrupt: After a signal, once all is saved.
  """
  try:
    return Ended(job, job.run(strategies.make_strategy(job.runtime)))
  except (InputError, DivergedError, OSError) as error:
    return Ended(job, error=error)
  except Exception:
    # The exception itself may not survive being sent.
    text = f'{job.label} failed: {traceback.format_exc()}'
    return Ended(job, error=RuntimeError(text))
