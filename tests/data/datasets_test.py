"""Tests of the known datasets: what they hold, and that they are read once."""

import os
import socket
import time

import uncertainty_distill as ud
from uncertainty_distill import configs, data
from uncertainty_distill.data import tfds_splits

import numpy as np
import pytest
import refusals
import tensorflow as tf
from sklearn import datasets

_TFDS = os.environ.get('TFDS_DATA_DIR', '')

needs_cifar10 = pytest.mark.skipif(
  not os.path.isdir(os.path.join(_TFDS, 'cifar10')),
  reason='TFDS_DATA_DIR holds no cifar10',
)


def _assert_describes(spec, images, tolerance=1e-4):
  """Checks mean and deviation per channel against exact counts of levels."""
  levels = np.arange(256) / 255
  for channel in range(3):
    values = images[..., channel].ravel()
    shares = np.bincount(values, minlength=256) / values.size
    mean = shares @ levels
    stddev = np.sqrt(shares @ (levels - mean) ** 2)
    assert spec.mean[channel] == pytest.approx(mean, abs=tolerance)
    assert spec.stddev[channel] == pytest.approx(stddev, abs=tolerance)


def test_digits():
  digits = data.open_dataset('digits')
  assert digits.num_train == 797
  for split, size in (digits.train, 797), (digits.test, 1000):
    assert split.spec == digits.spec
    assert split.images.shape == (size, *digits.spec.image_shape)
    assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32
    assert np.ptp(split.images) == 255
    np.testing.assert_array_equal(np.unique(split.labels), np.arange(10))
    np.testing.assert_array_equal(split.images[..., :1], split.images[..., 1:2])
  assert digits.spec.class_names == tuple('0123456789')
  _assert_describes(digits.spec, digits.train.images)


def test_digits_are_split_without_overlap():
  digits = data.open_dataset('digits')
  splits = digits.train, digits.test
  images, targets = datasets.load_digits(return_X_y=True)
  counts = sum(np.bincount(split.labels) for split in splits)
  np.testing.assert_array_equal(counts, np.bincount(targets))
  # All of scikit-learn's digits are different, and so are the enlarged ones.
  assert len(np.unique(images, axis=0)) == 1797
  enlarged = np.concatenate([s.images[..., 0].reshape(-1, 256) for s in splits])
  assert len(np.unique(enlarged, axis=0)) == 1797


def test_digits_keep_their_labels():
  # Shrunk again by averaging 2x2 pixels, each digit is nearest to its original.
  images, targets = datasets.load_digits(return_X_y=True)
  test = data.open_dataset('digits').test
  gray = test.images[:100, ..., 0].reshape(-1, 8, 2, 8, 2).mean((2, 4))
  distances = ((gray.reshape(100, 1, 64) * 16 / 255 - images) ** 2).sum(-1)
  np.testing.assert_array_equal(targets[distances.argmin(1)], test.labels[:100])


def test_a_split_is_read_once(monkeypatch):
  # The same arguments may be written in different ways.
  digits = data.open_dataset('digits')
  assert data.open_dataset('digits', '', ()) is digits
  assert data.open_dataset('digits', data_dir='', classes=[]) is digits
  config = configs.TrainDataConfig(name='digits')
  assert data.open_configured(config) is digits
  assert data.open_out_of_distribution('digits') is digits.test
  assert ud.load_dataset('digits', 'train') is digits.train
  chosen = data.open_dataset('digits', classes=(1, 2))
  assert data.open_dataset('digits', '', [1, 2]).train is chosen.train
  assert chosen.train.source is digits.train
  monkeypatch.setenv('TFDS_DATA_DIR', '/some/folder')
  cifar = data.open_dataset('cifar10')
  assert data.open_dataset('cifar10', '/some/folder', ()) is cifar
  monkeypatch.setenv('TFDS_DATA_DIR', '/other/folder')
  assert data.open_dataset('cifar10') is not cifar


def test_chosen_classes():
  whole = data.open_dataset('digits')
  chosen = data.open_dataset('digits', classes=(7, 2, 5))
  assert chosen.spec.class_names == ('7', '2', '5')
  assert chosen.spec.num_classes == 3 and chosen.spec.mean == whole.spec.mean
  rows = np.flatnonzero(np.isin(whole.test.labels, [7, 2, 5]))
  np.testing.assert_array_equal(chosen.test.images, whole.test.images[rows])
  np.testing.assert_array_equal(
    np.array([7, 2, 5])[chosen.test.labels], whole.test.labels[rows]
  )
  assert len(chosen.test) == len(rows)
  assert chosen.num_train == np.isin(whole.train.labels, [7, 2, 5]).sum()


def test_training_examples_in_place_of_test_examples():
  config = configs.TrainDataConfig(name='digits', test_from_training=100)
  whole, divided = data.open_dataset('digits'), data.open_configured(config)
  assert divided.num_train == whole.num_train - 100 == len(divided.train)
  np.testing.assert_array_equal(divided.train.images, whole.train.images[:-100])
  np.testing.assert_array_equal(divided.test.images, whole.train.images[-100:])
  np.testing.assert_array_equal(divided.test.labels, whole.train.labels[-100:])
  config.test_from_training = whole.num_train
  with refusals.refused('task.train_data.test_from_training', whole.num_train):
    data.open_configured(config)


def test_smaller_images_are_means_of_areas():
  whole = data.open_dataset('digits')
  small = data.open_dataset('digits', image_size=(8, 4))
  assert small.spec.image_shape == (8, 4, 3)
  assert small.num_train == whole.num_train and small.spec.mean == (
    whole.spec.mean
  )
  areas = whole.test.images.reshape(-1, 8, 2, 4, 4, 3).mean(axis=(2, 4))
  assert np.abs(small.test.images - areas).max() <= 0.5
  np.testing.assert_array_equal(small.test.labels, whole.test.labels)
  some = data.open_dataset('digits', classes=(7, 2), image_size=(8, 4))
  rows = np.flatnonzero(np.isin(whole.test.labels, [7, 2]))
  np.testing.assert_array_equal(some.test.images, small.test.images[rows])


@pytest.mark.parametrize('size', [(8,), (0, 8), (8, 17), (8, 8, 3)])
def test_refuses_sizes(size):
  with refusals.refused('image_size', size):
    data.open_dataset('digits', image_size=size)


@pytest.mark.parametrize('classes', [(3,), (3, 3), (3, 10), (-1, 3)])
def test_refuses_classes(classes):
  with refusals.refused('task.train_data.classes', classes):
    data.open_dataset('digits', classes=classes)


@pytest.mark.parametrize('name', ['cifar', ''])
def test_refuses_unknown_names(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  with refusals.refused('dataset name', name, 'cifar10, cifar100, digits'):
    data.open_dataset(name)


@pytest.mark.parametrize('name', ['missing.npz', 'folder.npz'])
def test_refuses_files_that_are_not_there(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  os.mkdir('folder.npz')
  with refusals.refused('dataset name', name, 'exists'):
    data.open_dataset(name)


def test_missing_dataset_without_a_network_is_reported_at_once(
  tmp_path, monkeypatch
):
  def resolve(*_, **__):
    raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

  monkeypatch.setattr(socket, 'getaddrinfo', resolve)
  began = time.monotonic()
  with refusals.refused('data_dir', str(tmp_path), 'cifar100'):
    data.open_dataset('cifar100', str(tmp_path)).test  # noqa: B018
  # TFDS retries for 200 seconds; its import takes a few.
  assert time.monotonic() - began < 30
  assert not os.listdir(tmp_path)


@needs_cifar10
def test_cifar10_test_split_is_in_the_order_of_its_file():
  dataset = data.open_dataset('cifar10').test
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
  # A tenth is faster to read. It is random, since the examples are in the order
  # of hashed names.
  images, labels = tfds_splits.read_published('cifar10', 'train[:10%]', '')
  assert images.shape == (5000, 32, 32, 3)
  np.testing.assert_allclose(np.bincount(labels), 500, atol=100)
  _assert_describes(data.open_dataset('cifar10').spec, images, tolerance=5e-3)


def test_cifar_is_known_before_it_is_read():
  for classes in 10, 100:
    dataset = data.open_dataset(f'cifar{classes}', '/nowhere')
    spec = dataset.spec
    assert spec.num_classes == classes and spec.image_shape == (32, 32, 3)
    assert dataset.num_train == 50_000
    names = spec.class_names
    assert len(set(names)) == classes and list(names) == sorted(names)
  some = data.open_dataset('cifar10', '/nowhere', [3, 5])
  assert some.spec.class_names == ('cat', 'dog')


def test_a_relative_name_is_opened_once(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (12, 16, 16, 3), np.uint8)
  labels = np.arange(12) % 3
  np.savez(
    'mine.npz',
    train_images=images,
    train_labels=labels,
    test_images=images,
    test_labels=labels,
  )
  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.name = 'mine.npz'
  config.task.train_data.global_batch_size = 4
  first = data.open_configured(config.task.train_data)
  resolved = configs.resolve(config, first)
  assert data.open_configured(resolved.task.train_data) is first


def test_options_of_pictures_may_be_for_other_images(tmp_path):
  # A teacher's member has no images without labels, which these are for.
  config = configs.TrainDataConfig(
    name='digits', skip_broken=True, image_cache=str(tmp_path)
  )
  assert data.open_configured(config) is data.open_dataset('digits')
