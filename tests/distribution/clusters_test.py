"""Tests of TF_CONFIG: which workers it names, and its mistakes."""

import json
import socket

from uncertainty_distill import configs, distribution

import pytest
import refusals

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
  for address in _HOSTS:
    assert address in str(cluster)


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
  with refusals.refused('TF_CONFIG', text):
    distribution.make_strategy(_runtime())


_TASK = {'type': 'worker', 'index': 0}


@pytest.mark.parametrize(
  'text',
  [
    'worker0',
    '[1]',
    _text({'worker': _HOSTS}, {'type': 'worker'}),
    _text({'worker': _HOSTS}, {'type': 'worker', 'index': 'first'}),
    _text({'worker': _HOSTS}, {'type': 'worker', 'index': 3}),
    _text({'worker': _HOSTS}, {'type': 'worker', 'index': -1}),
    _text({'worker': _HOSTS}, {'type': 'chief', 'index': 0}),
    json.dumps({'cluster': {'worker': _HOSTS}}),
    _text({'worker': _HOSTS, 'ps': ['d:1']}, _TASK),
    _text({'worker': _HOSTS, 'chief': ['d:1', 'e:1']}, _TASK),
    _text({'worker': ['a', 'b']}, _TASK),
    _text({'worker': 'a:2222,b:2222'}, _TASK),
    _text({'worker': ['a:1', 'a:1']}, _TASK),
  ],
)
def test_mistakes_are_named(text, monkeypatch):
  monkeypatch.setenv('TF_CONFIG', text)
  with refusals.refused('TF_CONFIG', text):
    distribution.make_strategy(_runtime())


def test_a_port_that_does_not_exist_is_named(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', _text({'worker': ['a:99999', 'b:1']}, _TASK))
  with refusals.refused('port in TF_CONFIG', 99999):
    distribution.make_strategy(_runtime())


def test_a_taken_port_is_named(monkeypatch):
  with socket.socket() as taken:
    taken.bind(('', 0))
    taken.listen()
    port = taken.getsockname()[1]
    hosts = [f'localhost:{port}', 'b:2222']
    monkeypatch.setenv('TF_CONFIG', _text({'worker': hosts}, _TASK))
    with refusals.refused('port in TF_CONFIG', port):
      distribution.make_strategy(_runtime())


def test_workers_do_not_train_side_by_side(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', _text({'worker': _HOSTS}, _TASK))
  with refusals.refused('runtime.distribution_strategy', 'mirrored'):
    distribution.make_strategy(_runtime(distribution_strategy='mirrored'))
