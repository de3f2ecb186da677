"""Tests of stored logits: what is written, read, kept and refused."""

import json
import os
import threading

from uncertainty_distill import trained

import numpy as np
import pytest
import refusals
import scipy.special
import tensorflow as tf

_INGREDIENTS = {'teacher': ['a'], 'augmentation': {'seed': 0}}


def _values(seed, examples=5):
  """Returns logits as they are stored, float16 [N, 2, 3]."""
  logits = np.random.default_rng(seed).normal(0, 3, [2, examples, 3])
  return trained.as_stored(tf.constant(logits)).numpy()


def _made(directory, views):
  cache = trained.LogitsCache(str(directory), _INGREDIENTS)
  with cache.alone():
    for view in views:
      cache.write(view, 5, [(_values(view)[:3],), (_values(view)[3:],)])
  return cache


def _opened(directory):
  return trained.LogitsCache(str(directory), _INGREDIENTS)


def _file(cache, view):
  return os.path.join(cache.path, f'view_{view:04}.npy')


def test_stored_are_log_probabilities_that_float16_can_hold():
  logits = np.random.default_rng(0).normal(0, 5, [4, 1000, 10])
  stored = trained.as_stored(tf.constant(logits, tf.float32)).numpy()
  assert stored.dtype == np.float16 and stored.shape == (1000, 4, 10)
  wanted = scipy.special.softmax(logits, -1).transpose(1, 0, 2)
  error = np.abs(np.exp(stored.astype(np.float64)) - wanted)
  # The error of float16 is 2^-11 p |log p|, which is largest at p = 1 / e. The
  # error of float32 is added.
  bound = 2**-11 * wanted * np.abs(np.log(wanted)) + 1e-6
  assert (error < 1.02 * bound).all() and error.max() > 1e-4
  # By hand: -log 4 and log(3/4), whatever constant is added to the logits.
  by_hand = trained.as_stored(tf.constant([[[500.0, 500 + np.log(3)]]]))
  np.testing.assert_allclose(by_hand, [[np.log([[0.25, 0.75]])]][0], rtol=5e-4)
  # A value below the range of float16 becomes its least number, not -infinity.
  extreme = trained.as_stored(tf.constant([[[0.0, 1e6]]]))
  np.testing.assert_array_equal(extreme, [[[-65504, 0]]])


def test_views_are_read_back(tmp_path):
  cache = _made(tmp_path, [0, 3, 12345])
  opened = _opened(tmp_path)
  assert opened.path == cache.path
  assert opened.shape == (5, 2, 3) and opened.ensemble_size == 2
  assert opened.missing([3, 1, 0, 12345]) == [1]
  read = tf.function(opened.read)
  for view in 0, 3, 12345:
    got = read(tf.constant(view, tf.int64), tf.constant([4, 0, 4]))
    assert got.shape == (3, 2, 3) and got.dtype == tf.float16
    np.testing.assert_array_equal(got, _values(view)[[4, 0, 4]])
  mapped = np.load(_file(opened, 3), mmap_mode='r', allow_pickle=False)
  np.testing.assert_array_equal(mapped, _values(3))
  # No half-written file stays behind.
  assert sorted(os.listdir(cache.path)) == [
    'manifest.json',
    'view_0000.npy',
    'view_0003.npy',
    'view_12345.npy',
  ]


def test_other_ingredients_have_a_folder_of_their_own(tmp_path):
  cache = _made(tmp_path, [0])
  other = trained.LogitsCache(
    str(tmp_path), {**_INGREDIENTS, 'augmentation': {'seed': 1}}
  )
  assert other.path != cache.path and other.missing([0]) == [0]


def test_a_view_that_is_gone_or_unlisted_is_missing(tmp_path):
  cache = _made(tmp_path, [0, 1])
  os.remove(_file(cache, 0))
  # View 2 looks as if its process was killed before it wrote the manifest.
  np.save(_file(cache, 2), _values(0))
  assert _opened(tmp_path).missing([0, 1, 2]) == [0, 2]
  _made(tmp_path, [0, 2])
  assert not _opened(tmp_path).missing([0, 1, 2])


def _truncate(path):
  with open(path, 'rb+') as file:
    file.truncate(os.path.getsize(path) - 2)


def _lengthen(path):
  with open(path, 'ab') as file:
    file.write(b'\0\0')


def _flip_a_bit(path):
  with open(path, 'rb+') as file:
    file.seek(-1, os.SEEK_END)
    last = file.read(1)[0]
    file.seek(-1, os.SEEK_END)
    file.write(bytes([last ^ 1]))


def _empty(path):
  with open(path, 'wb'):
    pass


def _of_fewer_examples(path):
  np.save(path, _values(0, examples=4))


def _of_float32(path):
  np.save(path, _values(0).astype(np.float32))


def _of_objects(path):
  np.save(path, np.array([{}]), allow_pickle=True)


@pytest.mark.parametrize(
  'damage',
  [
    _truncate,
    _lengthen,
    _flip_a_bit,
    _empty,
    _of_fewer_examples,
    _of_float32,
    _of_objects,
  ],
)
def test_a_damaged_view_is_named_and_made_again(damage, tmp_path, caplog):
  cache = _made(tmp_path, [0, 1])
  damage(_file(cache, 1))
  opened = _opened(tmp_path)
  assert not opened.missing([0])
  assert not caplog.messages
  assert opened.missing([0, 1]) == opened.missing([0, 1]) == [1]
  (line,) = caplog.messages
  assert _file(cache, 1) in line
  with opened.alone():
    opened.write(1, 5, [(_values(1),)])
  assert not _opened(tmp_path).missing([0, 1])


@pytest.mark.parametrize(
  'changes',
  [
    {'fingerprint': '0' * 64},
    {'format': 0},
    {'shape': [5]},
    {'shape': None},
  ],
)
def test_another_manifest_is_refused(changes, tmp_path):
  cache = _made(tmp_path, [0])
  path = os.path.join(cache.path, 'manifest.json')
  with open(path, encoding='utf-8') as file:
    content = json.load(file)
  for text in json.dumps({**content, **changes}), '{"format": 1', '[]':
    with open(path, 'w', encoding='utf-8') as file:
      file.write(text)
    with refusals.refused('task.objective.teacher_cache', path):
      _opened(tmp_path)


def test_a_broken_teacher_is_refused(tmp_path):
  cache = trained.LogitsCache(str(tmp_path), _INGREDIENTS)
  broken = trained.as_stored(tf.constant([[[0.0, np.nan]]])).numpy()
  with cache.alone(), refusals.refused('task.objective.teacher'):
    cache.write(0, 1, [(broken,)])
  assert cache.missing([0]) == [0]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / 'file').write_text('')
  cache = trained.LogitsCache(str(tmp_path / 'file'), _INGREDIENTS)
  with refusals.refused('task.objective.teacher_cache', cache.path):
    with cache.alone():
      pass


def test_makers_wait_for_each_other(tmp_path, caplog):
  first, second = (
    trained.LogitsCache(str(tmp_path), _INGREDIENTS) for _ in range(2)
  )
  waited = threading.Event()
  found = []

  def make():
    with second.alone():
      waited.set()
      found.extend(second.missing([0, 1]))

  with first.alone():
    thread = threading.Thread(target=make)
    thread.start()
    assert not waited.wait(0.5)
    first.write(0, 5, [(_values(0),)])
  thread.join(10)
  assert found == [1]
  assert str(os.getpid()) in caplog.text
