"""Tests of workers that share arrays or wait, most in separate processes."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

from uncertainty_distill.distribution import workers

import numpy as np
import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_PROGRAM = """
import json, os
import uncertainty_distill
import numpy as np
import tensorflow as tf
from uncertainty_distill.distribution import workers
cpu = tf.config.list_physical_devices('CPU')[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MultiWorkerMirroredStrategy()
index = json.loads(os.environ['TF_CONFIG'])['task']['index']
values = np.float32([1 / 3, np.nan if index else 7]), np.full([2, 2], index)
found = workers.from_chief(strategy, values)
print(json.dumps([value.tolist() for value in found]))
"""


def _free_hosts():
  """Returns the addresses of two free ports."""
  with socket.socket() as one, socket.socket() as two:
    ports = []
    for probe in one, two:
      probe.bind(('localhost', 0))
      ports.append(probe.getsockname()[1])
  return [f'localhost:{port}' for port in ports]


def _start(program, hosts, index):
  task = {'type': 'worker', 'index': index}
  cluster = {'cluster': {'worker': hosts}, 'task': task}
  return subprocess.Popen(
    [sys.executable, '-c', program],
    cwd=_ROOT,
    text=True,
    env={**os.environ, 'TF_CONFIG': json.dumps(cluster)},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )


@pytest.mark.slow
def test_all_workers_get_what_the_chief_brought():
  hosts = _free_hosts()
  processes = []
  try:
    for index in range(2):
      processes.append(_start(_PROGRAM, hosts, index))
    said = [p.communicate(timeout=120) for p in processes]
  finally:
    for process in processes:
      process.kill()
  for out, errors in said:
    assert out, errors
    assert json.loads(out) == [[float(np.float32(1 / 3)), 7.0], [[0, 0]] * 2]


_WAITING = """
from uncertainty_distill.runtime import signals
signals.install()
from uncertainty_distill import configs, distribution
runtime = configs.ExperimentConfig().runtime
runtime.distribution_strategy = 'multi_worker_mirrored'
print('waiting', flush=True)
distribution.make_strategy(runtime)
"""


@pytest.mark.slow
def test_a_worker_that_waits_for_others_can_be_stopped():
  process = _start(_WAITING, _free_hosts(), 0)
  try:
    assert process.stdout.readline()
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == -signal.SIGINT
  finally:
    process.kill()
    process.communicate()


def test_one_process_keeps_its_own(replicas):
  values = [np.float32([1.0, 2.0]), np.zeros([2, 2])]
  for given, value in zip(workers.from_chief(replicas, values), values):
    assert given is value
