"""Tests of the batches that are made ahead of their use."""

import subprocess
import sys
import threading

from uncertainty_distill.evaluation import image_sets

import numpy as np
import pytest
import tensorflow as tf

_STOPS_HALFWAY = """
import time
import numpy as np
import uncertainty_distill
from uncertainty_distill.evaluation import image_sets
import tensorflow as tf

def read(rows):
  time.sleep(0.2)
  return np.zeros([len(rows), 2, 2, 3], np.uint8)

images = image_sets.ImageSet('slow', np.zeros(50, np.int32), read)
strategy = tf.distribute.get_strategy()
batches = image_sets.distributed_batches([images], 1, strategy)
print(next(batches)['labels'].numpy())
# What holds itself goes when the process does.
here = [batches]
here.append(here)
del batches, here
"""


def _set(read, size):
  return image_sets.ImageSet('some', np.arange(size, dtype=np.int32), read)


def _images(rows):
  return np.tile(rows.astype(np.uint8)[:, None, None, None], [1, 2, 2, 3])


def test_sets_follow_each_other_and_are_padded():
  sets = [_set(_images, 3), _set(_images, 5)]
  batches = list(
    image_sets.distributed_batches(sets, 2, tf.distribute.get_strategy())
  )
  assert [batch['labels'].numpy().tolist() for batch in batches] == [
    [0, 1],
    [2, 2],
    [0, 1],
    [2, 3],
    [4, 4],
  ]
  assert [batch['mask'].numpy().tolist() for batch in batches] == [
    [True, True],
    [True, False],
    [True, True],
    [True, True],
    [True, False],
  ]
  assert {batch['images'].dtype for batch in batches} == {tf.uint8}
  assert batches[1]['images'].numpy()[:, 0, 0, 0].tolist() == [2, 2]


def test_an_error_comes_as_it_is_and_ends_what_is_made():
  asked = []

  def read(rows):
    asked.append(rows)
    if 2 in rows:
      raise ValueError('a damaged image')
    return _images(rows)

  batches = image_sets.distributed_batches(
    [_set(read, 100)], 1, tf.distribute.get_strategy()
  )
  before = set(threading.enumerate())
  assert next(batches)['labels'] == 0 and next(batches)['labels'] == 1
  with pytest.raises(ValueError, match='a damaged image'):
    next(batches)
  # Threads that were alive before may have ended since.
  begun = set(threading.enumerate()) - before
  for thread in begun:
    thread.join(10)
  assert not any(thread.is_alive() for thread in begun) and len(asked) < 10


def test_a_process_ends_while_a_batch_is_made():
  done = subprocess.run(
    [sys.executable, '-c', _STOPS_HALFWAY],
    capture_output=True,
    text=True,
    check=True,
    timeout=60,
  )
  assert done.stdout == '[0]\n' and 'Exception' not in done.stderr
