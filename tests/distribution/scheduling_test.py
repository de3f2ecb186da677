"""Tests of the scheduler: order, failures, lost machines, signals."""

import dataclasses
import errno
import os

from uncertainty_distill import configs
from uncertainty_distill.distribution import scheduling
from uncertainty_distill.distribution.scheduling import (
  JobResult,
  LostError,
  Task,
)
from uncertainty_distill.errors import DivergedError, InputError

import pytest
import tensorflow as tf


@dataclasses.dataclass
class _Job:
  """A job that ends as the test says.

  Attributes:
    label: The job's name.
    ends: How the job ends each time it is started: None or an error.
    steps: The step that is saved at each end.
  """

  label: str
  ends: list
  steps: list
  path: str = ''
  step: int = 0
  num_steps: int = 9
  runtime: configs.RuntimeConfig = dataclasses.field(
    default_factory=configs.RuntimeConfig
  )


class _Pool:
  """A pool whose `wait` ends the job that was started first."""

  parallel_evaluations = 0

  def __init__(self, max_jobs=2):
    self.max_jobs = max_jobs
    self.jobs = []
    self.started = []
    self.stopped = None

  def __enter__(self):
    self.stopped = None

  def __exit__(self, *error):
    self.stopped = [job.label for job in self.jobs]

  def start(self, job):
    assert len(self.jobs) < self.max_jobs
    self.jobs.append(job)
    self.started.append(job.label)

  def wait(self):
    job = self.jobs.pop(0)
    job.step = job.steps.pop(0) if job.steps else job.step
    error = job.ends.pop(0) if job.ends else None
    return [JobResult(job, job.label.upper(), error)]


def _task(name, needs=(), ends=(), steps=(), cost=1.0, results=None):
  finish = results.append if results is not None else lambda result: None
  job = _Job(name, list(ends), list(steps))
  return Task(name, lambda: job, needs, cost, finish)


def test_what_others_need_comes_first():
  pool, results = _Pool(), []
  tasks = [
    _task('alone'),
    _task('long', cost=5),
    _task('member'),
    Task('teacher', lambda: None, ['member'], 0),
    _task('student', ['teacher'], cost=9, results=results),
  ]
  assert scheduling.run(tasks, pool) == {}
  assert pool.started == ['member', 'long', 'student', 'alone']
  assert results == ['STUDENT'] and pool.stopped == []
  # A pool that runs one job at a time runs the tasks in the given order.
  pool = _Pool(max_jobs=1)
  scheduling.run(tasks, pool)
  assert pool.started == ['alone', 'long', 'member', 'student']


def test_what_nobody_needs_any_more_is_dropped():
  pool = _Pool()
  tasks = [
    _task('member_0', ends=[DivergedError('loss is non-finite', 3)]),
    _task('member_1'),
    _task('member_2'),
    Task('teacher', lambda: None, ['member_0', 'member_1', 'member_2']),
    _task('student', ['teacher']),
    _task('alone'),
  ]
  errors = scheduling.run(tasks, pool)
  assert set(errors) == {'member_0', 'teacher', 'student', 'member_2'}
  assert {error.step for error in errors.values()} == {3}
  assert pool.started == ['member_0', 'member_1', 'alone']


def test_a_teacher_that_diverges_at_its_end_drops_its_students():
  def fail():
    raise DivergedError('too many runs diverged')

  pool = _Pool()
  tasks = [Task('teacher', fail), _task('student', ['teacher']), _task('alone')]
  assert list(scheduling.run(tasks, pool)) == ['teacher', 'student']
  assert pool.started == ['alone']


def test_a_mistake_stops_all_and_another_error_waits_for_the_rest():
  pool = _Pool()
  mistake = InputError('output_dir', 'x', 'a folder that is shared')
  tasks = [_task('a', ends=[mistake]), _task('b'), _task('c')]
  with pytest.raises(InputError) as caught:
    scheduling.run(tasks, pool)
  assert caught.value is mistake and pool.stopped == ['b']
  pool = _Pool()
  tasks = [_task('a', ends=[OSError('full')]), _task('b'), _task('c')]
  errors = scheduling.run(tasks, pool)
  assert pool.started == ['a', 'b', 'c']
  with pytest.raises(OSError, match='full'):
    scheduling.raise_failure(errors)


def test_a_lost_job_goes_on_while_it_comes_further():
  pool, lost = _Pool(), LostError('gone')
  # The job is lost six times, but never twice in a row without a new step.
  tasks = [_task('a', ends=[lost] * 6, steps=[1, 1, 2, 3, 3, 4, 9])]
  assert scheduling.run(tasks, pool) == {}
  assert pool.started == ['a'] * 7
  # The job is given up once it is lost three times without a new step.
  pool = _Pool()
  tasks = [_task('a', ends=[lost] * 6), _task('b')]
  with pytest.raises(ChildProcessError, match='gone'):
    scheduling.raise_failure(scheduling.run(tasks, pool))
  assert pool.started == ['a', 'b', 'a', 'a']
  # Lost machines do not count as dead processes: these are two, and then three.
  pool, machine = _Pool(), LostError('off', of_machine=True)
  ends = [machine, machine, lost, machine, lost]
  assert scheduling.run([_task('a', ends=ends)], pool) == {}
  with pytest.raises(ChildProcessError, match='gone, 3 times'):
    scheduling.raise_failure(
      scheduling.run([_task('a', ends=[*ends, lost])], pool)
    )


def test_ctrl_c_stops_what_runs():
  pool = _Pool()
  calls = []

  def interrupt(schedule):
    calls.append(len(schedule.running))
    if len(calls) == 2:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    scheduling.run([_task('a'), _task('b'), _task('c')], pool, interrupt)
  assert pool.stopped == ['a', 'b']


def test_a_full_disk_is_one_whatever_writes_to_it():
  class Full(_Job):
    """A job in which TensorFlow writes to a full disk."""

    def run(self, strategy):
      del strategy
      reason = os.strerror(errno.ENOSPC)
      raise tf.errors.ResourceExhaustedError(None, None, f'/a/ckpt; {reason}')

  ended = scheduling.execute(Full('a', [], []))
  assert type(ended.error) is OSError
  assert (ended.error.errno, ended.error.filename) == (errno.ENOSPC, '/a/ckpt')
