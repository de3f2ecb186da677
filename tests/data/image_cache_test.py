"""Tests that the cache of decoded images is right and is made only once."""

import pathlib

from uncertainty_distill import data
from uncertainty_distill.data import datasets, pictures, tfds_dataset

import numpy as np
import picture_folders
import pytest
import refusals
import tensorflow as tf


@pytest.fixture(name='folder')
def _folder(tmp_path):
  for split, first in ('train', 0), ('test', 100):
    picture_folders.write(tmp_path / 'pictures' / split, 'ab', first=first)
  return tmp_path / 'pictures'


def _open(folder, cache='', **kwargs):
  decoding = data.Decoding(image_cache=str(cache), **kwargs)
  return data.open_dataset(str(folder), image_size=(8, 6), decoding=decoding)


def _forget(monkeypatch):
  """Forgets open datasets, as in a new process, and makes decoding fail."""
  datasets._open.cache_clear()

  def refuse(*args):
    raise AssertionError(args)

  monkeypatch.setattr(pictures, 'PictureFolder', refuse)


def test_it_holds_what_is_decoded_without_it(folder, tmp_path, monkeypatch):
  plain = _open(folder)
  first = _open(folder, tmp_path / 'cache')
  _forget(monkeypatch)
  again = _open(folder, tmp_path / 'cache')
  assert again is not first and again.spec == plain.spec
  rows = [5, 0, 5]
  for split in 'train', 'test':
    want = getattr(plain, split)
    for opened in first, again:
      found = getattr(opened, split)
      np.testing.assert_array_equal(found.images, want.images)
      np.testing.assert_array_equal(found.labels, want.labels)
      np.testing.assert_array_equal(
        found.read(tf.constant(rows)), want.images[rows]
      )
      # Runs and teacher caches recognize images by the fingerprint.
      assert found.fingerprint == want.fingerprint
      assert found.take(3).fingerprint == want.take(3).fingerprint


def test_it_is_read_in_the_graph_of_a_pipeline(folder, tmp_path):
  cached, plain = _open(folder, tmp_path / 'cache'), _open(folder)
  taken = [
    data.training_batches(data.Views(train, 1, 1, True), 4, seed=1).take(3)
    for train in (cached.train, plain.train)
  ]
  for one, other in zip(*taken):
    np.testing.assert_array_equal(one['images'], other['images'])


def test_other_pictures_and_other_sizes_are_decoded_anew(folder, tmp_path):
  cache = tmp_path / 'cache'
  before = _open(folder, cache).train.fingerprint
  assert len(list(cache.glob('*/train.images'))) == 1
  padded = _open(folder, cache, image_fit='pad')
  assert padded.train.fingerprint != before
  picture_folders.random_picture(7).save(folder / 'train' / 'a' / 'new.png')
  assert len(_open(folder, cache).train) == 9
  assert len(list(cache.glob('*/train.images'))) == 3


def test_what_is_cut_is_made_again(folder, tmp_path):
  cache = tmp_path / 'cache'
  want = _open(folder, cache).train.images.copy()
  (file,) = cache.glob('*/train.images')
  for damage in (
    lambda: file.write_bytes(b'short'),
    lambda: file.with_suffix('.npz').write_bytes(b''),
    file.unlink,
  ):
    damage()
    datasets._open.cache_clear()
    found = _open(folder, cache).train.images
    np.testing.assert_array_equal(found, want)
  # No other files are left.
  names = {path.name for path in pathlib.Path(file.parent).iterdir()}
  assert names == {'manifest.json', 'train.images', 'train.npz'}


def test_it_is_for_what_is_decoded(tmp_path):
  name = 'task.train_data.image_cache'
  with refusals.refused(name, str(tmp_path)):
    data.open_dataset(
      'digits', decoding=data.Decoding(image_cache=str(tmp_path))
    )
  picture_folders.write(tmp_path / 'p' / 'train', 'ab')
  picture_folders.write(tmp_path / 'p' / 'test', 'ab')
  (tmp_path / 'file').write_text('')
  with refusals.refused(name):
    _open(tmp_path / 'p', tmp_path / 'file')
  with refusals.refused(name, 'gs://bucket/cache'):
    _open(tmp_path / 'p', 'gs://bucket/cache')


def test_what_does_not_fit_into_memory_needs_it(monkeypatch):
  dataset = object.__new__(tfds_dataset.TfdsDataset)
  dataset._name, dataset._scratch, dataset._shape = 'tfds:big', '', (64, 64, 3)
  with refusals.refused('task.train_data.image_cache', ''):
    dataset._allocate(10**9)
