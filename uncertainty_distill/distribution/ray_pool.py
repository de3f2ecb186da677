"""Runs jobs on the machines of a Ray cluster."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from uncertainty_distill.distribution import scheduling
from uncertainty_distill.distribution.scheduling import (
  Job,
  JobResult,
  LostError,
)
from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.io import files, locks
from uncertainty_distill.runtime import progress, signals

import threadpoolctl

# From a resource to the parameter of Ray for it, if there is one.
_OPTIONS = {'CPU': 'num_cpus', 'GPU': 'num_gpus', 'memory': 'memory'}
_THREADS = 'OMP_NUM_THREADS'
# In seconds: the time between two checks for a signal; the time for a file to
# appear on another machine, where NFS remembers for a while that the file was
# missing; the time for cancelled jobs to save.
_PATIENCE = 0.5
_SHARING = 60.0
_SAVING = 300.0

_logger = logging.getLogger(__name__)


class RayPool:
  """A pool of the machines of a Ray cluster, which runs each job as a Ray task.

  Ray itself repeats nothing: lost jobs come back to the scheduler. Every job
  has its own process, since TensorFlow can set its threads only once, and keeps
  a TPU until its process ends.

  Attributes:
    resources: The resources that each job takes on a machine, such as
      `{'GPU': 1}`.
  """

  def __init__(
    self,
    folder: str,
    address: str = '',
    resources: Mapping[str, float] | None = None,
  ):
    """Connects to a cluster.

    Args:
      folder: The folder of all runs, which all machines must share. While this
        process has locked the folder, the machines can check this.
      address: The address of the cluster; empty for the cluster that this
        machine belongs to, or else for a new cluster of this machine only.
      resources: See the class. By default the TPUs of a machine, else one GPU,
        else the cores of the machine with the fewest cores.

    Raises:
      InputError: If Ray is not installed, or the cluster cannot be reached.
    """
    self._ray = _import_ray(address)
    self._folder = files.absolute(folder)
    if not self._ray.is_initialized():
      _connect(self._ray, address)
    self._given = dict(resources or {})
    self.resources: dict[str, float] = self._given or _default_resources(
      self._nodes()
    )
    self._remote = self._ray.remote(max_calls=1, max_retries=0)(_execute)
    self._jobs: dict[Any, Job] = {}
    self._context = contextlib.ExitStack()
    if not self.parallel_jobs:
      _logger.warning(
        f'no machine of the cluster has {json.dumps(self.resources)} now: '
        'runs wait until a machine has these resources'
      )

  @property
  def parallel_jobs(self) -> int:
    """The number of jobs that the machines run at a time."""
    wanted = {name: n for name, n in self.resources.items() if n > 0}
    return sum(
      min((int(node.get(r, 0) // n) for r, n in wanted.items()), default=1)
      for node in self._nodes()
    )

  @property
  def parallel_evaluations(self) -> int:
    """As many as `parallel_jobs`; at least one, which waits for a machine."""
    return max(1, self.parallel_jobs)

  @property
  def max_jobs(self) -> int:
    """A few more than run: no machine waits, and the cluster can grow."""
    return self.parallel_jobs + max(2, self.parallel_jobs // 4)

  @property
  def description(self) -> str:
    """A line about the machines."""
    return (
      f'Ray machines: {len(self._nodes())}; runs at a time: '
      f'{self.parallel_jobs}, of {json.dumps(self.resources)} each'
    )

  def __enter__(self) -> RayPool:
    self._context = contextlib.ExitStack()
    self._context.enter_context(signals.defer())
    return self

  def __exit__(self, *error: Any) -> None:
    for ref in self._jobs:
      self._ray.cancel(ref)
    deadline = time.monotonic() + _SAVING
    waiting = list(self._jobs)
    while waiting and time.monotonic() < deadline:
      _, waiting = self._ray.wait(waiting, num_returns=1, timeout=_PATIENCE)
    self._jobs = {}
    self._context.__exit__(*error)

  def start(self, job: Job) -> None:
    resources = dict(self.resources)
    runtime = job.runtime
    if 'TPU' in resources:
      runtime.tpu = runtime.tpu or 'local'
    elif 'GPU' not in resources:
      if not self._given and runtime.num_threads:
        resources['CPU'] = min(runtime.num_threads, resources['CPU'])
        # More of the runs then fit on a machine at a time.
        self.resources = dict(resources)
      # The run folder keeps the number, since results depend on it.
      runtime.num_threads = runtime.num_threads or max(
        1, int(resources.get('CPU', 1))
      )
    options: dict[str, Any] = {
      _OPTIONS[name]: resources.pop(name)
      for name in list(resources)
      if name in _OPTIONS
    }
    place = {
      'folder': os.getcwd(),
      'threads': os.environ.get(_THREADS),
      'shared': self._folder,
      'holder': locks.read_holder(self._folder),
    }
    ref = self._remote.options(
      name=job.label, resources=resources, **options
    ).remote(job, place)
    self._jobs[ref] = job

  def wait(self) -> list[JobResult]:
    refs = list(self._jobs)
    ready, _ = self._ray.wait(refs, num_returns=1, timeout=_PATIENCE)
    if ready:
      ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
    return [self._ended(ref, self._jobs.pop(ref)) for ref in ready]

  def _ended(self, ref: Any, job: Job) -> JobResult:
    errors = self._ray.exceptions
    try:
      ended = self._ray.get(ref)
      for message in ended.warnings:
        _logger.warning(message)
      return JobResult(job, ended.result, ended.error)
    except errors.TaskCancelledError:
      # Somebody else asked its process to end, and the process has saved.
      return JobResult(
        job, error=LostError(f'{job.label} was stopped', of_machine=True)
      )
    except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
      text = f'{job.label} failed: {error}'
      return JobResult(job, error=RuntimeError(text))
    except errors.RayError as error:
      reason = first_line(error)
      text = f'the machine or the process of {job.label} is gone ({reason})'
      return JobResult(
        job, error=LostError(text, of_machine=_is_of_machine(errors, error))
      )

  def _nodes(self) -> list[dict[str, float]]:
    """Returns the resources of each machine that is alive."""
    return [n['Resources'] for n in self._ray.nodes() if n['Alive']]


def _is_of_machine(errors: Any, error: Exception) -> bool:
  """Returns whether a whole machine is gone, not only one process on it."""
  return isinstance(error, (errors.NodeDiedError, errors.LocalRayletDiedError))


def _import_ray(address: str) -> Any:
  try:
    import ray
  except ImportError as error:
    raise InputError(
      'ray',
      address,
      'left out unless the package ray is installed',
      message='`ray` needs the package ray on all machines: pip install '
      "'uncertainty_distill[ray]'",
    ) from error
  return ray


def _connect(ray: Any, address: str) -> None:
  # Ray must not report usage to anybody.
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  try:
    ray.init(
      address=address or None, log_to_driver=False, logging_level='ERROR'
    )
  except (ConnectionError, OSError, RuntimeError, ValueError) as error:
    reason = first_line(error)
    raise InputError(
      'ray', address, 'the address of a Ray cluster that can be reached', reason
    ) from error


def _default_resources(nodes: list[dict[str, float]]) -> dict[str, float]:
  """Returns the resources that a job takes by default."""
  tpus = max((node.get('TPU', 0) for node in nodes), default=0)
  if tpus:
    return {'TPU': tpus}
  if any(node.get('GPU') for node in nodes):
    return {'GPU': 1}
  return {'CPU': min((n['CPU'] for n in nodes if n.get('CPU')), default=1)}


def _execute(job: Job, place: Mapping[str, Any]) -> JobResult:
  """Runs a job in a process of Ray.

  Args:
    job: The job.
    place: About the process that sent the job: its working directory `folder`,
      its number of OpenMP `threads`, the `shared` folder, and the `holder` of
      the lock on the shared folder.
  """
  signals.install(locks.remove_all)
  progress.hide()
  _restore_threads(place['threads'])
  # Paths in the configuration may be relative.
  with contextlib.suppress(OSError):
    os.chdir(place['folder'])
  with _collect_warnings() as warnings:
    try:
      ended = _execute_alone(job, place)
    except InputError as error:
      ended = JobResult(job, error=error)
  return JobResult(None, ended.result, ended.error, tuple(warnings))  # pyright: ignore[reportArgumentType]


def _execute_alone(job: Job, place: Mapping[str, Any]) -> JobResult:
  """Runs a job while no other process writes to its folder."""
  _check_shared(place['shared'], place['holder'])
  if not job.path:
    return scheduling.execute(job)
  # A lost task of this study may have left a lock behind. If the operating
  # system releases the lock, this may take a moment.
  locks.forget(job.path)
  remote = files.is_remote(job.path)
  with locks.lock_folder(job.path, 'model_dir', not remote, wait=True):
    return scheduling.execute(job)


@contextlib.contextmanager
def _collect_warnings() -> Iterator[list[str]]:
  """Collects the warnings of this package, which Ray would show nobody."""
  logger, messages = logging.getLogger('uncertainty_distill'), []
  handler = logging.Handler(logging.WARNING)
  handler.emit = lambda record: messages.append(record.getMessage())
  logger.addHandler(handler)
  try:
    yield messages
  finally:
    logger.removeHandler(handler)


def _restore_threads(number: str | None) -> None:
  """Undoes Ray's setting of the threads of OpenMP and BLAS."""
  os.environ.pop(_THREADS, None)
  if number is not None:
    os.environ[_THREADS] = number
  # NumPy, which Ray has imported, has already read the variable.
  threadpoolctl.threadpool_limits(int(number or os.cpu_count() or 1))


def _check_shared(
  folder: str, holder: Mapping[str, Any] | None, patience: float = _SHARING
) -> None:
  """Checks that this machine sees the folder of the machine that sent a job.

  Args:
    folder: The folder.
    holder: The holder of the folder's lock on that machine; None if the folder
      is not locked.
    patience: The seconds to wait until the lock appears.

  Raises:
    InputError: If this machine sees another folder.
  """
  if not holder:
    return
  deadline = time.monotonic() + patience
  while locks.read_holder(folder) != holder:
    if time.monotonic() > deadline:
      raise InputError(
        'output_dir',
        folder,
        'a folder that all machines of the cluster share',
        f'{os.uname().nodename} cannot find in this folder what '
        f'{holder["host"]} wrote to it: use a shared file system or a bucket',
      )
    time.sleep(min(1.0, patience / 4))
