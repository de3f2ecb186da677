"""Runs tasks that need each other on a pool of processes or machines.

A pool runs jobs: in this process or in other processes of this machine
(`local_pools`), or on the machines of a Ray cluster (`ray_pool`). For all
pools, this module decides which job to run next, which job to run again after a
machine was lost, and which tasks to drop after a failure.
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
from uncertainty_distill.io import disk_errors
from uncertainty_distill.runtime import signals

import tensorflow as tf

_logger = logging.getLogger(__name__)
# The number of losses in a row, without a new checkpoint, after which a job
# fails. False: only its process has died, which may be the job's own fault.
# True: its machine is gone. With preemptions once an hour and checkpoints every
# ten minutes, one machine in six is lost before its first checkpoint.
_MAX_LOSSES = {False: 3, True: 20}


class UnsavedJob:
  """The base class of a `Job` that writes nothing and saves no steps.

  Attributes:
    config: The configuration, which gives the devices and threads to use.
    path: Empty, since nothing is written.
    step: 0, since no step is saved.
    num_steps: 0, since no step is saved.
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
    path: The folder that the job writes to; empty for none.
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
    """The step to continue from if the machine were lost now."""
    ...

  def run(self, strategy: tf.distribute.Strategy) -> Any:
    """Runs the job, and returns a result that can be pickled."""
    ...


class LostError(Exception):
  """The process or the machine that ran a job is gone.

  Attributes:
    of_machine: Whether the whole machine is gone, or was about to be.
  """

  def __init__(self, text: str, *, of_machine: bool = False):
    super().__init__(text)
    self.of_machine = of_machine


@dataclasses.dataclass(frozen=True)
class JobResult:
  """A job that has ended.

  Attributes:
    job: The job.
    result: The result that the job returned.
    error: The exception that the job raised; None if all went well.
    warnings: The warnings of the job that have not been shown yet.
  """

  job: Job
  result: Any = None
  error: Exception | None = None
  warnings: tuple[str, ...] = ()


class Pool(Protocol):
  """A way to run jobs.

  A pool is a context, and takes jobs within it. At the end of the context, the
  pool stops the jobs that still run, once they have saved their progress.
  """

  @property
  def max_jobs(self) -> int:
    """The number of jobs that the pool takes before one of them has ended."""
    ...

  @property
  def parallel_jobs(self) -> int:
    """The number of these jobs that run at the same time."""
    ...

  @property
  def parallel_evaluations(self) -> int:
    """The number of evaluations worth running at the same time.

    0 if this process alone evaluates just as fast.
    """
    ...

  @property
  def description(self) -> str:
    """The processes or machines, in words."""
    ...

  def __enter__(self) -> Any: ...

  def __exit__(self, *error: object) -> None: ...

  def start(self, job: Job) -> None:
    """Takes a job."""
    ...

  def wait(self) -> list[JobResult]:
    """Waits a moment, or until a job ends; returns the jobs that have ended."""
    ...


@dataclasses.dataclass(eq=False)
class Task:
  """A job that may depend on the results of other tasks.

  Attributes:
    name: The unique name of the task.
    prepare: A function that returns the job, or None if nothing is left to do.
      It is called in this process once the needed tasks are done.
    needs: The names of the tasks that must be done first.
    cost: The cost of the task, in any unit that all tasks share.
    finish: A function that is called with the result of the job.
  """

  name: str
  prepare: Callable[[], Job | None]
  needs: Sequence[str] = ()
  cost: float = 1.0
  finish: Callable[[Any], object] = lambda result: None


@dataclasses.dataclass(eq=False)
class RunningJob:
  """A task whose job a pool has.

  Attributes:
    task: The task.
    job: The job.
    kept: The step that the job continued from.
    losses: How often the job was lost in a row without a new step saved, by
      whether its machine was lost.
    retries: How often the job was lost in total.
  """

  task: Task
  job: Job
  kept: int
  losses: collections.Counter[bool] = dataclasses.field(
    default_factory=collections.Counter
  )
  retries: int = 0


class Schedule:
  """The tasks that wait, that run, that are done, and that will not be done.

  Attributes:
    tasks: All tasks, by their names.
    waiting: The names of tasks that have not begun, the most urgent first.
    running: The tasks whose jobs a pool has, by the `id` of the job.
    done: The names of the tasks that are done.
    errors: The error because of which a task will not be done, by the task's
      name: its own error, or the error of another task, which this task needs
      or whose failure leaves no task that needs this task.
  """

  def __init__(self, tasks: Sequence[Task], in_order: bool = False):
    """Plans tasks.

    Args:
      tasks: The tasks, each after the tasks that it needs.
      in_order: Whether to run the tasks in the given order. By default, the
        task with the longest chain of work behind it comes first. So no machine
        trains a teacher at the end while all others wait for its students.
    """
    self.tasks: dict[str, Task] = {task.name: task for task in tasks}
    self.running: dict[int, RunningJob] = {}
    self.done: set[str] = set()
    self.errors: dict[str, Exception] = {}
    self._lost: collections.deque[RunningJob] = collections.deque()
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
    """Returns the next job to start; None if all tasks wait for others.

    Raises:
      InputError: If something that the user gave is wrong.
    """
    if self._lost:
      return self._started(self._lost.popleft())
    for name in list(self.waiting):
      # A failure may have dropped the task since.
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
        return self._started(RunningJob(task, job, job.step))
      self.done.add(name)
    # An earlier task may have waited for a task that was done just now.
    ready = (self.done.issuperset(self.tasks[n].needs) for n in self.waiting)
    return self.next() if any(ready) else None

  def end(self, ended: JobResult) -> None:
    """Records how a job has ended.

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

  def _started(self, running: RunningJob) -> Job:
    self.running[id(running.job)] = running
    return running.job

  def _lose(self, running: RunningJob, error: LostError) -> None:
    """Lets a lost job begin again, unless it was lost too often."""
    step = running.job.step
    if step > running.kept:
      running.losses.clear()
    running.losses[error.of_machine] += 1
    running.kept = step
    running.retries += 1
    losses = running.losses[error.of_machine]
    if losses < _MAX_LOSSES[error.of_machine]:
      _logger.warning(
        f'{error}; {running.job.label} continues from step {step}'
      )
      self._lost.append(running)
    else:
      text = f'{error}, {losses} times without a new checkpoint'
      self._fail(running.task, ChildProcessError(text))

  def _fail(self, task: Task, error: Exception) -> None:
    """Drops a task, all tasks that need it, and all that only those need."""
    _logger.warning(f'{error}; the other tasks continue without it')
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
  """Runs tasks. A failure does not stop tasks that have nothing to do with it.

  Args:
    tasks: The tasks, each after the tasks that it needs.
    pool: The pool that runs the jobs.
    show: A function that is called now and then with the schedule.

  Returns:
    The errors of tasks that are not done, by the task's name; see
    `Schedule.errors`. If training has not diverged, the caller must raise them;
    see `raise_failure`.

  Raises:
    InputError: If something that the user gave is wrong. It is raised at once,
      since it is likely to be wrong in all tasks.
    Exception: If tasks run in turn, any error but DivergedError.
    KeyboardInterrupt: After a signal, once all that was trained is saved.
  """
  schedule = Schedule(tasks, in_order=pool.max_jobs == 1)
  with pool:
    while not schedule.is_over:
      while len(schedule.running) < pool.max_jobs and (job := schedule.next()):
        pool.start(job)
        show(schedule)
      if schedule.running:
        for ended in pool.wait():
          schedule.end(ended)
      show(schedule)
      signals.check()
  return schedule.errors


def raise_failure(errors: Mapping[str, Exception]) -> None:
  """Raises the first of the errors that is no DivergedError, if any."""
  for error in errors.values():
    if not isinstance(error, DivergedError):
      raise error


def execute(job: Job) -> JobResult:
  """Runs a job in a process of a pool, and returns how the job ended.

  Raises:
    KeyboardInterrupt: After a signal, once all is saved.
  """
  try:
    return JobResult(job, job.run(strategies.make_strategy(job.runtime)))
  except (InputError, DivergedError, OSError) as error:
    return JobResult(job, error=error)
  except Exception as error:
    if disk_error := disk_errors.as_disk_error(error):
      return JobResult(job, error=disk_error)
    # The exception itself may not survive being sent.
    text = f'{job.label} failed: {traceback.format_exc()}'
    return JobResult(job, error=RuntimeError(text))
