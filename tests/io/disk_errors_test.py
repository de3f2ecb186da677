"""Tests of which errors are those of a disk, on small disks in memory."""

import errno
import os
import subprocess

from uncertainty_distill.io import disk_errors, files

import pytest
import tensorflow as tf


def _parse(write):
  """Returns the path and the reason of the error that a function raises."""
  with pytest.raises((OSError, tf.errors.OpError)) as caught:
    write()
  found = disk_errors.as_disk_error(caught.value)
  return os.fspath(found.filename), found.strerror


def test_python_names_the_file_not_the_temporary_one(small_disk):
  path = small_disk / 'file'
  files.write_text(path, 'as it was')
  found = _parse(lambda: files.write_bytes(path, bytes(2_000_000)))
  assert found == (str(path), os.strerror(errno.ENOSPC))
  assert path.read_text() == 'as it was' and os.listdir(small_disk) == ['file']


def test_tensorflow_names_the_file_too(small_disk):
  checkpoint = tf.train.Checkpoint(weights=tf.Variable(tf.zeros([500_000])))
  prefix = str(small_disk / 'full' / 'ckpt')
  path, reason = _parse(lambda: checkpoint.write(prefix))
  assert path.startswith(prefix) and reason == os.strerror(errno.ENOSPC)


def _open_event_file(folder):
  return lambda: tf.summary.create_file_writer(str(folder)).init()


def test_event_files_are_named(small_disk):
  with open(small_disk / 'file', 'wb', 0) as file, pytest.raises(OSError):
    while True:
      file.write(bytes(4096))
  path, reason = _parse(_open_event_file(small_disk / 'train'))
  assert path.startswith(str(small_disk / 'train' / 'events'))
  assert reason == os.strerror(errno.ENOSPC)


def test_a_disk_that_is_read_only(small_disk):
  checkpoint = tf.train.Checkpoint(weights=tf.Variable(0.0))
  remount = ['mount', '-o', 'remount,ro', str(small_disk)]
  subprocess.run(remount, check=True)
  prefix = str(small_disk / 'ckpt')
  for write in (
    lambda: files.write_text(prefix, ''),
    lambda: checkpoint.write(prefix),
    _open_event_file(small_disk / 'train'),
    lambda: tf.saved_model.save(tf.Module(), prefix),
  ):
    path, reason = _parse(write)
    assert path.startswith(str(small_disk))
    assert reason == os.strerror(errno.EROFS)


def test_other_errors_are_none_of_a_disk(tmp_path):
  for error in (
    FileNotFoundError(errno.ENOENT, 'gone', str(tmp_path)),
    tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating'),
    ValueError(str(tmp_path)),
  ):
    assert disk_errors.as_disk_error(error) is None
  # An error about the permissions of a bucket, for example.
  denied = tf.errors.PermissionDeniedError(
    None, None, '{{node Save}} gs://bucket/a b/ckpt; Permission denied [Op:]'
  )
  found = disk_errors.as_disk_error(denied)
  assert (found.errno, found.filename) == (
    errno.EACCES,
    'gs://bucket/a b/ckpt',
  )
