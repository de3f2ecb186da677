"""Sets TensorFlow up for every test, before anything else imports it."""

# Imported first: it selects Keras 2, which must precede TensorFlow's import.
import gc
import os
import pathlib
import signal
import subprocess

import uncertainty_distill  # noqa: F401

import pytest
import tensorflow as tf


def pytest_configure() -> None:
  """Splits the CPU into two logical devices, so that replicas can be tested."""
  # Shells let background processes ignore Ctrl-C, but some tests send Ctrl-C.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
  )


def _has_fixtures(folder: pathlib.Path) -> bool:
  """Returns whether the tests of a folder share fixtures."""
  here = pathlib.Path(__file__)
  return folder != here.parent and (folder / here.name).is_file()


def pytest_collection_modifyitems(items) -> None:
  """Begins with the slowest tests: notebooks, then folders in one process."""
  root = pathlib.Path(__file__).parent
  slow = {item.path for item in items if item.get_closest_marker('slow')}
  items.sort(
    key=lambda item: (
      not (item.path in slow and item.path.parent == root),
      not _has_fixtures(item.path.parent),
    )
  )


def pytest_collection_finish() -> None:
  """Keeps imported objects out of every later garbage collection."""
  gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """Lets one process run all files that share the fixtures of a folder."""
  from xdist.scheduler import LoadScopeScheduling

  class ByFixtures(LoadScopeScheduling):
    def _split_scope(self, nodeid):
      file = config.rootpath / nodeid.partition('::')[0]
      return str(file.parent if _has_fixtures(file.parent) else file)

  return ByFixtures(config, log)


@pytest.fixture(scope='session')
def replicas() -> tf.distribute.Strategy:
  """Two replicas on the CPU, the same for all tests.

  TensorFlow tells collective operations apart by a number that each strategy
  counts for itself. In one process, the operations of two strategies would be
  taken for the same ones.
  """
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])


@pytest.fixture
def small_disk(tmp_path):
  """A folder that is a disk of its own, with one megabyte of memory."""
  folder = tmp_path / 'disk'
  folder.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(folder)]
  try:
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
  except FileNotFoundError:
    pytest.skip('there is no mount')
  if done.returncode:
    pytest.skip(f'mounting is not allowed: {done.stderr.strip()}')
  yield folder
  # Files that TensorFlow has not closed would keep the disk busy.
  subprocess.run(['umount', '--lazy', str(folder)], check=True)


def pytest_runtest_setup():
  """Gives the commands that tests call the log level that users have."""
  # If JAX is installed, the import of JAX sets this variable.
  os.environ.pop('TF_CPP_MIN_LOG_LEVEL', None)
