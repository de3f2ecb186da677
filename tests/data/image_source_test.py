"""Tests of the datasets: what they hold, and what is refused."""

import os
import socket
import time

from uncertainty_distill import data, errors

import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

_TFDS = os.environ.get('TFDS_DATA_DIR', '')

needs_cifar10 = pytest.mark.skipif(
  not os.path.isdir(os.path.join(_TFDS, 'cifar10')),
  reason='TFDS_DATA_DIR holds no cifar10',
)


def _assert_describes(spec, train, tolerance=1e-4):
  """Checks mean and deviation per channel against exact counts of levels."""
  levels = np.arange(256) / 255
  for channel in range(3):
    values = train.images[..., channel].ravel()
    shares = np.bincount(values, minlength=256) / values.size
    mean = shares @ levels
    stddev = np.sqrt(shares @ (levels - mean) ** 2)
    assert spec.mean[channel] == pytest.approx(mean, abs=tolerance)
    assert spec.stddev[channel] == pytest.approx(stddev, abs=tolerance)


def test_digits():
  spec = data.dataset_spec('digits')
  train = data.load_dataset('digits', 'train')
  test = data.load_dataset('digits', 'test')
  for split, size in (train, spec.num_train), (test, spec.num_test):
    assert split.spec == spec
    assert split.images.shape == (size, *spec.image_shape)
    assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32
    assert np.ptp(split.images) == 255
    np.testing.assert_array_equal(np.unique(split.labels), np.arange(10))
    np.testing.assert_array_equal(split.images[..., :1], split.images[..., 1:2])
  _assert_describes(spec, train)


def test_digits_are_split_without_overlap():
  splits = [data.load_dataset('digits', split) for split in ('train', 'test')]
  images, targets = datasets.load_digits(return_X_y=True)
  counts = sum(np.bincount(split.labels) for split in splits)
  np.testing.assert_array_equal(counts, np.bincount(targets))
  # All of scikit-learn's digits are different, and so are the enlarged ones.
  assert len(np.unique(images, axis=0)) == 1797
  enlarged = np.concatenate([s.images[..., 0].reshape(-1, 256) for s in splits])
  assert len(np.unique(enlarged, axis=0)) == 1797


def test_digits_keep_their_labels():
  # Shrunk again by averaging 2x2 pixels, each is nearest to its original.
  images, targets = datasets.load_digits(return_X_y=True)
  test = data.load_dataset('digits', 'test')
  grey = test.images[:100, ..., 0].reshape(-1, 8, 2, 8, 2).mean((2, 4))
  distances = ((grey.reshape(100, 1, 64) * 16 / 255 - images) ** 2).sum(-1)
  np.testing.assert_array_equal(targets[distances.argmin(1)], test.labels[:100])


def test_datasets_are_read_once_and_the_same_each_time():
  first = data.load_dataset('digits', 'train')
  assert data.load_dataset('digits', 'train') is first
  data.load_dataset.cache_clear()
  again = data.load_dataset('digits', 'train')
  np.testing.assert_array_equal(first.images, again.images)
  np.testing.assert_array_equal(first.labels, again.labels)
  with pytest.raises(ValueError, match='read-only'):
    first.images[0] = 0


def test_take():
  dataset = data.load_dataset('digits', 'train')
  first = dataset.take(3)
  np.testing.assert_array_equal(first.images, dataset.images[:3])
  np.testing.assert_array_equal(first.labels, dataset.labels[:3])
  assert dataset.take(0) is dataset
  assert len(dataset.take(797).labels) == 797
  for wrong in -1, 798:
    with pytest.raises(errors.InputError, match=f'got {wrong}, wants 0 .* 797'):
      dataset.take(wrong)


def _arrays():
  generator = np.random.default_rng(0)
  return {
    'train_images': generator.integers(0, 200, (7, 4, 5, 3), dtype=np.uint8),
    'train_labels': np.array([0, 1, 2, 0, 1, 2, 0]),
    'test_images': generator.integers(0, 200, (3, 4, 5, 3), dtype=np.uint8),
    'test_labels': np.array([0, 3, 1], np.uint8),
  }


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_own_file(tmp_path, save):
  path, arrays = str(tmp_path / 'own.npz'), _arrays()
  save(path, **arrays)
  spec = data.dataset_spec(path)
  assert spec.name == path and spec.image_shape == (4, 5, 3)
  # The greatest label of both splits counts.
  assert (spec.num_classes, spec.num_train, spec.num_test) == (4, 7, 3)
  for split in 'train', 'test':
    dataset = data.load_dataset(path, split)
    assert dataset.spec == spec
    np.testing.assert_array_equal(dataset.images, arrays[f'{split}_images'])
    np.testing.assert_array_equal(dataset.labels, arrays[f'{split}_labels'])
  _assert_describes(spec, data.load_dataset(path, 'train'))


def test_constant_images_can_be_standardized(tmp_path):
  path, arrays = str(tmp_path / 'own.npz'), _arrays()
  np.savez(path, **{**arrays, 'train_images': np.zeros((7, 4, 5, 3), np.uint8)})
  assert data.dataset_spec(path).stddev == (1e-3,) * 3


@pytest.mark.parametrize(
  'change, message',
  [
    ({'train_images': np.zeros((7, 4, 5, 3))}, 'train_images.*float64'),
    ({'train_images': np.zeros((7, 4, 5), np.uint8)}, r'train_images.*\[7'),
    ({'train_images': np.uint8(0)}, r'train_images.*uint8 \[\]'),
    ({'train_images': np.zeros((7, 4, 5, 1), np.uint8)}, r'train_im.*5, 1'),
    ({'train_images': np.zeros((0, 4, 5, 3), np.uint8)}, r'train_im.*\[0'),
    ({'test_images': np.zeros((0, 4, 5, 3), np.uint8)}, r'test_im.*\[0, '),
    ({'test_images': np.zeros((3, 4, 4, 3), np.uint8)}, r'test_im.*one si'),
    ({'train_labels': np.zeros(6, int)}, r'train_labels.*\[6\].*\[7\]'),
    ({'train_labels': np.zeros((7, 1), int)}, r'train_labels.*\[7, 1\]'),
    ({'train_labels': np.zeros(7)}, 'train_labels.*float64'),
    ({'train_labels': np.zeros(7, bool)}, 'train_labels.*bool'),
    ({'test_labels': np.array([0, 1, -1])}, 'test_labels.*from 0 on'),
    ({'test_labels': np.array(0)}, r'test_labels.*\[\]'),
    ({'test_labels': np.array([0, 1, None])}, 'train_images, train_labels'),
    ({'test_labels': None}, 'train_images, train_labels'),
  ],
)
def test_refuses_other_arrays(tmp_path, change, message):
  path = str(tmp_path / 'own.npz')
  arrays = {**_arrays(), **change}
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
  for read in data.dataset_spec, lambda name: data.load_dataset(name, 'train'):
    with pytest.raises(errors.InputError, match=message):
      read(path)


def _save_nothing(path):
  with open(path, 'wb'):
    pass


def _save_text(path):
  with open(path, 'w', encoding='utf-8') as file:
    file.write('images')


def _save_array(path):
  with open(path, 'wb') as file:
    np.save(file, np.zeros(3))


def _save_half(path):
  np.savez(path, **_arrays())
  with open(path, 'r+b') as file:
    file.truncate(os.path.getsize(path) // 2)


def _save_damaged(path):
  np.savez_compressed(path, **_arrays())
  with open(path, 'r+b') as file:
    file.seek(200)
    file.write(b'\xff' * 50)


@pytest.mark.parametrize(
  'save',
  [_save_nothing, _save_text, _save_array, _save_half, _save_damaged],
)
def test_refuses_files_of_another_kind(tmp_path, save):
  path = str(tmp_path / 'own.npz')
  save(path)
  with pytest.raises(errors.InputError, match='an .npz file with train_images'):
    data.dataset_spec(path)


@pytest.mark.parametrize('name', ['cifar', 'missing.npz', '', 'folder.npz'])
def test_refuses_unknown_names(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  os.mkdir('folder.npz')
  with pytest.raises(errors.InputError, match='cifar10, cifar100, digits or'):
    data.load_dataset(name, 'train')


def test_missing_dataset_without_a_network_is_reported_at_once(
  tmp_path, monkeypatch
):
  def resolve(*_, **__):
    raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

  monkeypatch.setattr(socket, 'getaddrinfo', resolve)
  began = time.monotonic()
  with pytest.raises(errors.InputError, match="data_dir: .* TFDS 'cifar100'"):
    data.load_dataset('cifar100', 'test', str(tmp_path))
  # TFDS retries for 200 seconds; its import takes a few.
  assert time.monotonic() - began < 30
  assert not os.listdir(tmp_path)


@needs_cifar10
def test_cifar10_test_split_is_in_the_order_of_its_file():
  dataset = data.load_dataset('cifar10', 'test')
  assert dataset.images.shape == (10_000, 32, 32, 3)
  assert dataset.images.dtype == np.uint8
  np.testing.assert_array_equal(np.bincount(dataset.labels), [1000] * 10)
  [file] = tf.io.gfile.glob(f'{_TFDS}/cifar10/*/cifar10-test.tfrecord*')
  feature = tf.io.FixedLenFeature
  features = {'image': feature([], tf.string), 'label': feature([], tf.int64)}
  records = tf.data.TFRecordDataset(file).take(100)
  for index, record in enumerate(records):
    example = tf.io.parse_single_example(record, features)
    assert dataset.labels[index] == example['label']
    np.testing.assert_array_equal(
      dataset.images[index], tf.io.decode_png(example['image'])
    )
  assert dataset.labels[:10].tolist() == [2, 9, 4, 6, 9, 3, 0, 5, 8, 1]


@needs_cifar10
def test_cifar10_train_split_is_described():
  # A tenth, to be fast: it is random, being in the order of hashed names.
  train = data.load_dataset.__wrapped__('cifar10', 'train[:10%]')
  assert train.images.shape == (5000, 32, 32, 3)
  np.testing.assert_allclose(np.bincount(train.labels), 500, atol=100)
  _assert_describes(train.spec, train, tolerance=5e-3)


@pytest.mark.parametrize('classes', [10, 100])
def test_specs_of_cifar(classes):
  spec = data.dataset_spec(f'cifar{classes}')
  assert spec.num_classes == classes and spec.image_shape == (32, 32, 3)
  assert (spec.num_train, spec.num_test) == (50_000, 10_000)
