"""Which workers train together, by TF_CONFIG, checked before they connect."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
from typing import Any

from uncertainty_distill.errors import InputError

from official.common import distribute_utils
from official.core import config_definitions as cfg

MULTI_WORKER = 'multi_worker_mirrored'

_VARIABLE = 'TF_CONFIG'
_EXAMPLE = (
  '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
  '"task": {"type": "worker", "index": 0}}'
)
_JOBS = ('chief', 'worker')


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The workers, of which the first is the chief.

  Attributes:
    addresses: Of each, host:port.
    index: Of this process among them.
  """

  addresses: tuple[str, ...]
  index: int

  def __str__(self) -> str:
    others = [a for i, a in enumerate(self.addresses) if i != self.index]
    return (
      f'worker {self.index} of {len(self.addresses)}, at '
      f'{self.addresses[self.index]}, waits for {", ".join(others)}'
    )


def read_cluster(runtime: cfg.RuntimeConfig) -> Cluster | None:
  """Returns the cluster that this process belongs to; None for no other.

  Args:
    runtime: `worker_hosts` and `task_index` may say what TF_CONFIG, which goes
      before them, usually does.

  Raises:
    InputError: If TF_CONFIG does not say who trains with whom, or this
      worker's port is taken, or other workers wait for a strategy of theirs.
  """
  if runtime.worker_hosts and runtime.task_index >= 0:
    if not os.environ.get(_VARIABLE):
      distribute_utils.configure_cluster(
        runtime.worker_hosts, runtime.task_index
      )
  text = os.environ.get(_VARIABLE, '')
  cluster = _parse(text) if text else None
  several = cluster is not None and len(cluster.addresses) > 1
  if runtime.distribution_strategy == MULTI_WORKER:
    if cluster is None:
      raise InputError(_VARIABLE, text, f'JSON such as {_EXAMPLE}')
    if several:
      _check_port(cluster)
  elif several and runtime.tpu is None:
    # Each of them would train by itself, and write over the others' files.
    raise InputError(
      'runtime.distribution_strategy',
      runtime.distribution_strategy,
      f'{MULTI_WORKER}, as {_VARIABLE} names {len(cluster.addresses)} workers',
    )
  return cluster if several else None


def _parse(text: str) -> Cluster | None:
  """Reads TF_CONFIG; returns None where it names no workers."""
  try:
    content = json.loads(text)
    jobs = dict(content.get('cluster', {}))
    task = dict(content.get('task', {}))
  except (AttributeError, TypeError, ValueError) as error:
    raise InputError(_VARIABLE, text, f'JSON such as {_EXAMPLE}') from error
  if not jobs:
    return None
  addresses = []
  for job, hosts in jobs.items():
    if (
      job not in _JOBS
      or not isinstance(hosts, list)
      or not all(map(_is_address, hosts))
    ):
      raise InputError(
        f'cluster in {_VARIABLE}',
        {job: hosts},
        'lists of host:port for worker, and perhaps one for chief',
      )
  for job in _JOBS:
    addresses += jobs.get(job, [])
  if len(jobs.get('chief', [])) > 1 or len(set(addresses)) < len(addresses):
    raise InputError(
      f'cluster in {_VARIABLE}', jobs, 'distinct addresses, and one chief'
    )
  kind, index = task.get('type'), task.get('index')
  hosts = jobs.get(kind, []) if isinstance(kind, str) else []
  if type(index) is not int or not 0 <= index < len(hosts):
    raise InputError(
      f'task in {_VARIABLE}',
      task,
      'type and index of this worker, such as {"type": "worker", "index": 0}',
    )
  return Cluster(tuple(addresses), addresses.index(hosts[index]))


def _is_address(value: Any) -> bool:
  return isinstance(value, str) and bool(re.fullmatch(r'.+:\d{1,5}', value))


def _check_port(cluster: Cluster) -> None:
  """Raises an InputError if another program has this worker's port."""
  port = int(cluster.addresses[cluster.index].rpartition(':')[2])
  with socket.socket() as probe:
    # As servers do: a port that was left a moment ago is free.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      probe.bind(('', port))
    except (OSError, OverflowError) as error:
      raise InputError(
        f'port in {_VARIABLE}',
        port,
        'one that is free on this machine',
        str(error),
      ) from error
