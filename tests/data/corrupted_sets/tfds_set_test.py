"""Tests of TFDS splits in published order, and of CIFAR-10-C from TFDS."""

import shutil
from unittest import mock

from uncertainty_distill import data
from uncertainty_distill.data import (
  cifar,
  corrupted_sets,
  corruptions,
  tfds_splits,
)

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tensorflow_datasets as tfds

NUMBER = 40
KINDS = {
  'glass_blur': 'frosted_glass_blur',
  'elastic_transform': 'elastic',
  'fog': 'fog',
}


def random_images(seed, number=NUMBER):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)


def prepare(name, downloaded, data_dir):
  """Lets TFDS prepare a dataset from a folder instead of a download."""
  builder = tfds.builder(name, data_dir=data_dir)
  with mock.patch.object(
    tfds.download.DownloadManager,
    'download_and_extract',
    lambda *unused: str(downloaded),
  ):
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )


def _cut_in_a_record(path):
  path.write_bytes(path.read_bytes()[:-100])


def _cut_between_records(path):
  records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records[:-1]:
      writer.write(record)


def _flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 4
  path.write_bytes(content)


@pytest.mark.parametrize(
  'damage, reason',
  [
    (_cut_in_a_record, 'truncated record'),
    (_cut_between_records, f'{NUMBER - 1} records instead of {NUMBER}'),
    (_flip_a_bit, 'corrupted record'),
  ],
)
def test_a_damaged_file_of_tfds_is_named(damage, reason, prepared, tmp_path):
  copy = shutil.copytree(prepared, tmp_path / 'tfds')
  (path,) = (copy / 'cifar10').glob('*/cifar10-test.tfrecord*')
  damage(path)
  with refusals.refused('data_dir', str(path)) as caught:
    tfds_splits.read_published('cifar10', 'test', str(copy))
  # The message has the reason; for damaged records, in TensorFlow's own words.
  assert reason in str(caught.value)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """Returns a TFDS folder with a small CIFAR-10 and a small CIFAR-10-C."""
  data_dir = str(tmp_path_factory.mktemp('tfds'))
  binary = tmp_path_factory.mktemp('binary') / 'cifar-10-batches-bin'
  binary.mkdir()
  (binary / 'batches.meta.txt').write_text('\n'.join('abcdefghij'))
  labels = (np.arange(NUMBER) * 7 % 10).astype(np.uint8)
  planes = random_images(0).transpose(0, 3, 1, 2).reshape(NUMBER, -1)
  content = np.concatenate([labels[:, np.newaxis], planes], axis=1).tobytes()
  for file in ('test_batch', *(f'data_batch_{n}' for n in range(1, 6))):
    (binary / f'{file}.bin').write_bytes(content)
  prepare('cifar10', binary.parent, data_dir)
  files = tmp_path_factory.mktemp('files') / 'CIFAR-10-C'
  files.mkdir()
  np.save(files / 'labels.npy', np.tile(labels, 5))
  for seed, (file, name) in enumerate(KINDS.items(), start=1):
    np.save(files / f'{file}.npy', random_images(seed, 5 * NUMBER))
    prepare(f'cifar10_corrupted/{name}_3', files.parent, data_dir)
  return data_dir


def clean_test_set(data_dir):
  """Returns the small CIFAR-10."""
  images, labels = tfds_splits.read_published('cifar10', 'test', data_dir)
  return data.ArraySource(cifar.SPECS['cifar10'], images, labels)


def test_cifar_is_read_in_the_published_order(prepared):
  dataset = clean_test_set(prepared)
  np.testing.assert_array_equal(dataset.images, random_images(0))
  np.testing.assert_array_equal(dataset.labels, np.arange(NUMBER) * 7 % 10)
  # TFDS stores another order; otherwise this test would prove nothing.
  builder = tfds_splits.make_builder('cifar10', prepared)
  stored = tfds_splits.read_split(builder, 'test')['image']
  assert not np.array_equal(stored, dataset.images)


def test_published_corruptions_are_read_in_the_same_order(prepared):
  kinds = corruptions.parse_corruptions(KINDS)
  shifts = corruptions.shifts(kinds, [3])
  opened = corrupted_sets.open_corrupted_set(
    clean_test_set(prepared), shifts, 'tfds', prepared
  )
  assert opened.description == (
    'the published files, from TFDS cifar10_corrupted'
  )
  for seed, shift in enumerate(shifts, start=1):
    third = random_images(seed, 5 * NUMBER)[2 * NUMBER : 3 * NUMBER]
    for rows in np.arange(7), np.array([39, 4, 4]):
      np.testing.assert_array_equal(opened.images(shift, rows), third[rows])


def test_labels_of_another_order_are_refused(prepared):
  clean = clean_test_set(prepared)
  labels = clean.labels.copy()
  labels[[1, 2]] = labels[[2, 1]]
  dataset = data.ArraySource(clean.spec, clean.images, labels)
  shifts = corruptions.shifts([corruptions.Corruption.FOG], [3])
  with refusals.refused('TFDS cifar10_corrupted/fog_3', expected='40 labels'):
    corrupted_sets.TfdsSet(dataset, shifts, prepared)


def test_what_is_not_prepared_is_refused(prepared):
  dataset = clean_test_set(prepared)
  shifts = corruptions.shifts([corruptions.Corruption.GLASS_BLUR], [3, 4])
  with refusals.refused('data_dir', expected='frosted_glass_blur_4'):
    corrupted_sets.TfdsSet(dataset, shifts, prepared)
  digits = data.open_dataset('digits').test
  with refusals.refused('corrupted images', 'tfds'):
    corrupted_sets.TfdsSet(digits, shifts, prepared)
