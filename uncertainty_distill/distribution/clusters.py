"""Reads and checks TF_CONFIG, which says which workers train together."""

from __future__ import annotations

import dataclasses
import os
import re
import socket

from uncertainty_distill.errors import InputError

import tensorflow as tf
from official.common import distribute_utils
from official.core import config_definitions as cfg

MULTI_WORKER = 'multi_worker_mirrored'

_VARIABLE = 'TF_CONFIG'
_EXAMPLE = (
  '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
  '"task": {"type": "worker", "index": 0}}'
)
_JOBS = ('chief', 'worker')
_ADDRESS = re.compile(r'.+:\d{1,5}')


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The workers that train together; the first worker is the chief.

  Attributes:
    addresses: The host:port of each worker.
    index: The index of this process in `addresses`.
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
  """Returns the cluster of this process; None if it is the only worker.

  If TF_CONFIG is not set, it is set from `worker_hosts` and `task_index`.

  Args:
    runtime: The devices, with `worker_hosts` and `task_index`.

  Raises:
    InputError: If TF_CONFIG does not say which workers train together, if this
      worker's port is taken, or if the strategy is not for several workers.
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
      raise _refused(text)
    if several:
      _check_port(cluster)
  elif cluster and several and runtime.tpu is None:
    # Each worker would train by itself, and overwrite the others' files.
    raise InputError(
      'runtime.distribution_strategy',
      runtime.distribution_strategy,
      f'{MULTI_WORKER}, since {_VARIABLE} names {len(cluster.addresses)} '
      'workers',
    )
  return cluster if several else None


def _parse(text: str) -> Cluster | None:
  """Reads TF_CONFIG; returns None if it names no workers."""
  try:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    jobs = resolver.cluster_spec().as_dict()
    if not jobs:
      return None
    addresses = [a for job in _JOBS for a in jobs.get(job, [])]
    own = dict(enumerate(jobs[resolver.task_type]))[resolver.task_id]
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise _refused(text) from error
  # The resolver accepts values that would make workers wait forever.
  if (
    not set(jobs) <= set(_JOBS)
    or len(jobs.get('chief', [])) > 1
    or len(set(addresses)) < len(addresses)
    or not all(map(_ADDRESS.fullmatch, addresses))
  ):
    raise _refused(text)
  return Cluster(tuple(addresses), addresses.index(own))


def _refused(text: str) -> InputError:
  return InputError(
    _VARIABLE,
    text,
    f'JSON such as {_EXAMPLE}, with distinct addresses and at most one chief',
  )


def _check_port(cluster: Cluster) -> None:
  """Raises an InputError if another program uses this worker's port."""
  port = int(cluster.addresses[cluster.index].rpartition(':')[2])
  with socket.socket() as probe:
    # As servers do, so that a port that was closed a moment ago is free.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      probe.bind(('', port))
    except (OSError, OverflowError) as error:
      raise InputError(
        f'port in {_VARIABLE}',
        port,
        'a port that is free on this machine',
        str(error),
      ) from error
