"""Which workers train together, by TF_CONFIG, checked before they connect."""

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
  """The workers, of which the first is the chief.

  Attributes:
    addresses: host:port of each worker.
    index: This process's place among them.
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
    runtime: Its `worker_hosts` and `task_index` stand in for TF_CONFIG, which
      takes precedence over them.

  Raises:
    InputError: TF_CONFIG does not say who trains with whom, this worker's port
      is taken, or there are several workers but no strategy for them.
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
    # Each of them would train by itself, and write over the others' files.
    raise InputError(
      'runtime.distribution_strategy',
      runtime.distribution_strategy,
      f'{MULTI_WORKER}, since {_VARIABLE} names {len(cluster.addresses)} '
      'workers',
    )
  return cluster if several else None


def _parse(text: str) -> Cluster | None:
  """Reads TF_CONFIG; returns None where it names no workers."""
  try:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    jobs = resolver.cluster_spec().as_dict()
    if not jobs:
      return None
    addresses = [a for job in _JOBS for a in jobs.get(job, [])]
    own = dict(enumerate(jobs[resolver.task_type]))[resolver.task_id]
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise _refused(text) from error
  # The resolver lets pass what would leave the workers waiting for each other.
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
    f'JSON such as {_EXAMPLE}, with distinct addresses and one chief at most',
  )


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
