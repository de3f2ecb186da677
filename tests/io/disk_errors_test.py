"""Tests of disks that are full or read-only, which are small ones in memory."""

import errno
import os
import subprocess

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import disk_errors, files

import pytest
import tensorflow as tf


def test_python_names_the_file_not_the_temporary_one(small_disk):
  path = small_disk / 'file'
  files.write_text(path, 'as it was')
  with pytest.raises(InputError) as refused:
    with disk_errors.errors('--model_dir', str(small_disk), '2 MB'):
      files.write_bytes(path, bytes(2_000_000))
  assert str(refused.value) == (
    f"--model_dir: got '{small_disk}', wants a folder that can be written, on"
    f' a disk that has room for 2 MB; {path}: No space left on device; what '
    'is complete is kept, and the same command goes on from there'
  )
  assert path.read_text() == 'as it was' and os.listdir(small_disk) == ['file']


def test_tensorflow_names_the_file_too(small_disk):
  checkpoint = tf.train.Checkpoint(weights=tf.Variable(tf.zeros([500_000])))
  message = '/full/ckpt.*: No space left'
  with pytest.raises(InputError, match=message) as refused:
    with disk_errors.errors('--model_dir', str(small_disk)):
      checkpoint.write(str(small_disk / 'full' / 'ckpt'))
  assert '\n' not in str(refused.value)


def test_event_files_are_refused_likewise(small_disk):
  with open(small_disk / 'file', 'wb', 0) as file, pytest.raises(OSError):
    while True:
      file.write(bytes(4096))
  with pytest.raises(InputError, match='/train/events.*: No space left'):
    with disk_errors.errors('--model_dir', str(small_disk)):
      tf.summary.create_file_writer(str(small_disk / 'train')).init()


def test_a_disk_that_is_read_only(small_disk):
  checkpoint = tf.train.Checkpoint(weights=tf.Variable(0.0))
  remount = ['mount', '-o', 'remount,ro', str(small_disk)]
  subprocess.run(remount, check=True)
  path = str(small_disk / 'ckpt')

  def writer():
    return tf.summary.create_file_writer(str(small_disk / 'train'))

  for write in (
    lambda: files.write_text(path, ''),
    lambda: checkpoint.write(path),
    lambda: writer().init(),
    lambda: tf.saved_model.save(tf.Module(), path),
  ):
    with pytest.raises(InputError, match='Read-only file system; what'):
      with disk_errors.errors('--model_dir', str(small_disk)):
        write()


def test_other_errors_and_other_places_pass(tmp_path):
  elsewhere = OSError(errno.ENOSPC, 'No space left on device', '/elsewhere')
  for error in (
    elsewhere,
    FileNotFoundError(errno.ENOENT, 'gone', str(tmp_path)),
    tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating'),
    ValueError(str(tmp_path)),
  ):
    with pytest.raises(type(error)) as caught:
      with disk_errors.errors('--model_dir', str(tmp_path)):
        raise error
    assert caught.value is error
  assert disk_errors.refusal(elsewhere) == (
    '/elsewhere',
    'No space left on device',
  )
  # Of a bucket's permissions, for example.
  denied = tf.errors.PermissionDeniedError(
    None, None, '{{node Save}} gs://bucket/a b/ckpt; Permission denied [Op:]'
  )
  assert disk_errors.refusal(denied) == (
    'gs://bucket/a b/ckpt',
    'Permission denied',
  )
