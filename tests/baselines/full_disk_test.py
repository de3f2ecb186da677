"""Tests training on a disk that runs full."""

import errno
import os
import subprocess

import running
import tensorflow as tf


def test_a_full_disk_costs_nothing_that_was_complete(small_disk):
  # The disk has room for one checkpoint, but not for a second one.
  train = [
    'train',
    '--experiment=digits_wrn10_1',
    f'--model_dir={small_disk}',
    '--ensemble_size=1',
    '--mode=train',
    f'--params_override={running.SHORT_OF_ANY_SIZE},'
    'trainer.steps_per_loop=1,trainer.checkpoint_interval=1',
  ]
  done = running.run(*train)
  assert done.returncode == 2 and 'Traceback' not in done.stderr
  line = done.stderr.strip().splitlines()[-1]
  assert str(small_disk) in line and os.strerror(errno.ENOSPC) in line
  names = sorted(path.name for path in small_disk.glob('ckpt-*'))
  assert names == ['ckpt-1.data-00000-of-00001', 'ckpt-1.index']
  assert not (small_disk / '.lock').exists()
  latest = tf.train.latest_checkpoint(str(small_disk))
  assert (
    tf.train.load_checkpoint(latest).get_tensor(
      'global_step/.ATTRIBUTES/VARIABLE_VALUE'
    )
    == 1
  )
  room = ['mount', '-o', 'remount,size=16m', str(small_disk)]
  subprocess.run(room, check=True)
  running.succeed(*train)
  assert (small_disk / 'ckpt-4.index').is_file()
  assert (small_disk / 'saved_model' / 'saved_model.pb').is_file()
