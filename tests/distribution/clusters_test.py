"""Tests of TF_CONFIG: whom a worker trains with, and what is wrong with it."""

import json
import socket

from uncertainty_distill import configs, distribution
from uncertainty_distill.errors import InputError

import pytest

_HOSTS = ['a:2222', 'b:2222', 'c:2222']


def _runtime(**values):
  runtime = configs.ExperimentConfig().runtime
  runtime.distribution_strategy = 'multi_worker_mirrored'
  runtime.override(values)
  return runtime


def _text(cluster, task):
  return json.dumps({'cluster': cluster, 'task': task})


def test_the_chief_comes_first(monkeypatch):
  monkeypatch.setenv(
    'TF_CONFIG',
    _text(
      {'worker': _HOSTS[1:], 'chief': _HOSTS[:1]},
      {'type': 'worker', 'index': 1},
    ),
  )
  cluster = distribution.read_cluster(_runtime())
  assert (cluster.addresses, cluster.index) == (tuple(_HOSTS), 2)
  assert str(cluster) == ('worker 2 of 3, at c:2222, waits for a:2222, b:2222')


def test_worker_hosts_stand_in_for_tf_config(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', '')
  monkeypatch.delenv('TF_CONFIG')
  runtime = _runtime(worker_hosts='a:2222,b:2222', task_index=1)
  assert distribution.read_cluster(runtime).index == 1


@pytest.mark.parametrize('text', ['', '{}', '{"environment": "cloud"}'])
def test_without_other_workers_there_is_no_cluster(text, monkeypatch):
  monkeypatch.setenv('TF_CONFIG', text)
  mirrored = _runtime(distribution_strategy='mirrored')
  assert distribution.read_cluster(mirrored) is None
  with pytest.raises(InputError, match='TF_CONFIG: got .* wants JSON such as'):
    distribution.make_strategy(_runtime())


_TASK = {'type': 'worker', 'index': 0}


@pytest.mark.parametrize(
  'text, message',
  [
    ('worker0', "TF_CONFIG: got 'worker0', wants JSON such as"),
    ('[1]', 'TF_CONFIG: got .* wants JSON such as'),
    (_text({'worker': _HOSTS}, {'type': 'worker'}), 'task in TF_CONFIG'),
    (_text({'worker': _HOSTS}, {'type': 'worker', 'index': '0'}), 'task in'),
    (_text({'worker': _HOSTS}, {'type': 'worker', 'index': 3}), 'task in'),
    (_text({'worker': _HOSTS}, {'type': 'chief', 'index': 0}), 'task in'),
    (json.dumps({'cluster': {'worker': _HOSTS}}), 'task in TF_CONFIG: got {}'),
    (_text({'worker': _HOSTS, 'ps': ['d:1']}, _TASK), "cluster .*'ps'"),
    (_text({'worker': ['a', 'b']}, _TASK), 'lists of host:port'),
    (_text({'worker': 'a:2222,b:2222'}, _TASK), 'lists of host:port'),
    (_text({'worker': ['a:1', 'a:1']}, _TASK), 'distinct addresses'),
    (_text({'worker': ['a:99999', 'b:1']}, _TASK), 'port in TF_CONFIG: got 99'),
  ],
)
def test_mistakes_are_named(text, message, monkeypatch):
  monkeypatch.setenv('TF_CONFIG', text)
  with pytest.raises(InputError, match=message) as caught:
    distribution.make_strategy(_runtime())
  assert '\n' not in str(caught.value)


def test_a_taken_port_is_named(monkeypatch):
  with socket.socket() as taken:
    taken.bind(('', 0))
    taken.listen()
    port = taken.getsockname()[1]
    hosts = [f'localhost:{port}', 'b:2222']
    monkeypatch.setenv('TF_CONFIG', _text({'worker': hosts}, _TASK))
    with pytest.raises(InputError, match=f'port .* got {port}, .* in use'):
      distribution.make_strategy(_runtime())


def test_workers_do_not_train_side_by_side(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', _text({'worker': _HOSTS}, _TASK))
  with pytest.raises(InputError, match='names 3 workers'):
    distribution.make_strategy(_runtime(distribution_strategy='mirrored'))
