"""Runs jobs on the machines of a Ray cluster."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from uncertainty_distill.distribution import scheduling
from uncertainty_distill.distribution.scheduling import Ended, Job, LostError
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runtime import progress, signals

import threadpoolctl

# What Ray calls the resources that its functions have parameters for.
_OPTIONS = {'CPU': 'num_cpus', 'GPU': 'num_gpus', 'memory': 'memory'}
_THREADS = 'OMP_NUM_THREADS'
# Seconds: to look whether a signal has come; for a file to appear on another
# machine, where NFS remembers for a while that it was not there; for what was
# cancelled to save.
_PATIENCE = 0.5
_SHARING = 60.0
_SAVING = 300.0

_logger = logging.getLogger(__name__)


class RayPool:
  """A pool of the machines of a Ray cluster, each job a task of Ray's.

  Ray itself repeats nothing: what is lost comes back to the scheduler. Every
  job has a process of its own, since TensorFlow can set its threads once, and
  keeps a TPU until its process ends.

  Attributes:
    resources: What each job takes of a machine, such as `{'GPU': 1}`.
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
        process has locked it they can tell that they do.
      address: The address of the cluster; empty for the one that this machine
        belongs to, or else a new one on this machine alone.
      resources: See the class. By default the TPUs of a machine, else one GPU,
        else the cores of a machine.

    Raises:
      InputError: If Ray is not installed, or there is no such cluster.
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
    if not self.slots:
      _logger.warning(
        f'no machine of the cluster has {json.dumps(self.resources)} now: runs '
        'wait until one has'
      )

  @property
  def slots(self) -> int:
    """How many jobs the machines run at a time."""
    wanted = {name: n for name, n in self.resources.items() if n > 0}
    return sum(
      min((int(node.get(r, 0) // n) for r, n in wanted.items()), default=1)
      for node in self._nodes()
    )

  @property
  def machines(self) -> int:
    """The same as the slots."""
    return self.slots

  @property
  def capacity(self) -> int:
    """A few more than the slots: no machine waits, and a cluster can grow."""
    return self.slots + max(2, self.slots // 4)

  @property
  def description(self) -> str:
    """The machines in a line."""
    return (
      f'Ray machines: {len(self._nodes())}; runs at a time: {self.slots}, of '
      f'{json.dumps(self.resources)} each'
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
      # The number is kept with the run, since results depend on it.
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

  def wait(self) -> list[Ended]:
    refs = list(self._jobs)
    ready, _ = self._ray.wait(refs, num_returns=1, timeout=_PATIENCE)
    if ready:
      ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
    return [self._ended(ref, self._jobs.pop(ref)) for ref in ready]

  def _ended(self, ref: Any, job: Job) -> Ended:
    errors = self._ray.exceptions
    try:
      ended = self._ray.get(ref)
      return Ended(job, ended.result, ended.error)
    except errors.TaskCancelledError:
      # Its process was asked to end by somebody else, and has saved.
      return Ended(job, error=LostError(f'{job.label} was stopped', True))
    except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
      text = f'{job.label} failed: {error}'
      return Ended(job, error=RuntimeError(text))
    except errors.RayError as error:
      reason = str(error).strip().splitlines()[0][:200]
      text = f'the machine or the process of {job.label} is gone ({reason})'
      return Ended(job, error=LostError(text, _is_of_machine(errors, error)))

  def _nodes(self) -> list[dict[str, float]]:
    """Returns the resources of each machine that is there."""
    return [n['Resources'] for n in self._ray.nodes() if n['Alive']]


def _is_of_machine(errors: Any, error: Exception) -> bool:
  """Returns whether a machine is gone, rather than one process on it."""
  return isinstance(error, (errors.NodeDiedError, errors.LocalRayletDiedError))


def _import_ray(address: str) -> Any:
  try:
    import ray
  except ImportError as error:
    raise InputError(
      'ray',
      address,
      'left out where the package ray is not installed',
      message='`ray` needs the package ray on all machines: pip install '
      "'uncertainty_distill[ray]'",
    ) from error
  return ray


def _connect(ray: Any, address: str) -> None:
  # Nothing is to be reported to anybody.
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  try:
    ray.init(
      address=address or None, log_to_driver=False, logging_level='ERROR'
    )
  except (ConnectionError, OSError, RuntimeError, ValueError) as error:
    reason = str(error).strip().splitlines()[0][:200]
    raise InputError(
      'ray', address, 'the address of a Ray cluster that can be reached', reason
    ) from error


def _default_resources(nodes: list[dict[str, float]]) -> dict[str, float]:
  """Returns what a job takes where nothing is said."""
  tpus = max((node.get('TPU', 0) for node in nodes), default=0)
  if tpus:
    return {'TPU': tpus}
  if any(node.get('GPU') for node in nodes):
    return {'GPU': 1}
  return {'CPU': min((n['CPU'] for n in nodes if n.get('CPU')), default=1)}


def _execute(job: Job, place: Mapping[str, Any]) -> Ended:
  """Does a job in a process of Ray's.

  Args:
    job: The job.
    place: Of the process that asks for it: its working directory `folder`, its
      `threads` of OpenMP, the `shared` folder and who has locked that, the
      `holder`.
  """
  signals.install(locks.remove_all)
  progress.hide()
  _restore_threads(place['threads'])
  # Paths in the configuration may be relative.
  with contextlib.suppress(OSError):
    os.chdir(place['folder'])
  try:
    _check_shared(place['shared'], place['holder'])
    if not job.path:
      return _without_job(scheduling.execute(job))
    # A task of this study that is gone may have left it behind. Where the
    # system takes locks back it may take a moment.
    locks.forget(job.path)
    remote = files.is_remote(job.path)
    with locks.lock_folder(job.path, 'model_dir', not remote, wait=True):
      return _without_job(scheduling.execute(job))
  except InputError as error:
    return Ended(None, error=error)  # pyright: ignore[reportArgumentType]


def _without_job(ended: Ended) -> Ended:
  return Ended(None, ended.result, ended.error)  # pyright: ignore[reportArgumentType]


def _restore_threads(number: str | None) -> None:
  """Undoes that Ray has set the threads of OpenMP and BLAS."""
  os.environ.pop(_THREADS, None)
  if number is not None:
    os.environ[_THREADS] = number
  # NumPy, which Ray has imported, has read it.
  threadpoolctl.threadpool_limits(int(number or os.cpu_count() or 1))


def _check_shared(
  folder: str, holder: Mapping[str, Any] | None, patience: float = _SHARING
) -> None:
  """Finds out whether this machine sees the folder of the one that asks.

  Args:
    folder: The folder.
    holder: Who has locked it there; None if nobody has.
    patience: The seconds after which it is clear.

  Raises:
    InputError: If it is another folder.
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
        f'{os.uname().nodename} does not find there what '
        f'{holder["host"]} has written: take a shared file system, or a bucket',
      )
    time.sleep(min(1.0, patience / 4))
