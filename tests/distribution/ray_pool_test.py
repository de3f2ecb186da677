"""Tests of the checks and defaults of Ray pools that precede training."""

import json
import logging
import sys

from uncertainty_distill import distribution
from uncertainty_distill.distribution import ray_pool
from uncertainty_distill.io import locks

import pytest
import refusals


def test_without_the_package_an_error_says_what_to_install(
  tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'ray', None)
  with refusals.refused('ray', '127.0.0.1:1'):
    distribution.RayPool(str(tmp_path), '127.0.0.1:1')


def test_a_folder_that_is_another_one_there_is_found(tmp_path):
  own, other = tmp_path / 'own', tmp_path / 'other'
  other.mkdir()
  with locks.lock_folder(str(own), 'output_dir'):
    holder = locks.read_holder(str(own))
    ray_pool._check_shared(str(own), holder, patience=0)
    with refusals.refused('output_dir', str(other)):
      ray_pool._check_shared(str(other), holder, patience=0)
    # A lock in the other folder is not enough if another process holds it.
    content = dict(holder, pid=holder['pid'] + 1)
    (other / '.lock.json').write_text(json.dumps(content))
    with refusals.refused('output_dir', str(other)):
      ray_pool._check_shared(str(other), holder, patience=0)
  # If nobody has locked the folder, there is nothing to compare.
  ray_pool._check_shared(str(other), None)


@pytest.mark.parametrize(
  'nodes, resources',
  [
    ([{'CPU': 8.0}, {'CPU': 4.0, 'GPU': 2.0}], {'GPU': 1}),
    ([{'CPU': 96.0, 'TPU': 4.0}, {'CPU': 96.0, 'GPU': 1.0}], {'TPU': 4.0}),
    ([{'CPU': 8.0}, {'CPU': 4.0}, {'memory': 1.0}], {'CPU': 4.0}),
  ],
)
def test_what_a_run_takes_by_default(nodes, resources):
  assert ray_pool._default_resources(nodes) == resources


def test_ray_s_limit_of_threads_is_undone(monkeypatch):
  limits = []
  monkeypatch.setattr(
    ray_pool.threadpoolctl, 'threadpool_limits', limits.append
  )
  monkeypatch.setenv('OMP_NUM_THREADS', '1')
  monkeypatch.setattr(ray_pool.os, 'cpu_count', lambda: 6)
  ray_pool._restore_threads(None)
  assert 'OMP_NUM_THREADS' not in ray_pool.os.environ
  ray_pool._restore_threads('3')
  assert ray_pool.os.environ['OMP_NUM_THREADS'] == '3'
  assert limits == [6, 3]


def test_warnings_are_sent_back():
  with ray_pool._collect_warnings() as found:
    logging.getLogger('uncertainty_distill.training').warning('no temperature')
    logging.getLogger('uncertainty_distill').info('on 1 device')
  logging.getLogger('uncertainty_distill').warning('later')
  assert found == ['no temperature']
