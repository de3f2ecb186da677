"""Tests of TFDS datasets by name: what they hold, and which are refused."""

import errno
import json
import os
import pathlib
import urllib.request

from uncertainty_distill import configs, data, evaluation, training
from uncertainty_distill.data import datasets, tfds_splits
from uncertainty_distill.evaluation import results

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

_NAMES = ['ant', 'bee', 'wasp']


def _pictures(count, channels, side=None):
  """Returns pictures, which have several sizes unless a side is given."""
  rng = np.random.RandomState(count)
  sizes = [(side or 6 + i % 3, side or 7) for i in range(count)]
  return [rng.randint(0, 256, [*s, channels]).astype(np.uint8) for s in sizes]


class _Tiny(tfds.core.GeneratorBasedBuilder):
  """Pictures that need no download; subclasses set the shape."""

  VERSION = tfds.core.Version('1.0.0')
  SHAPE = (None, None, 3)
  SPLITS = {'train': 12, 'validation': 5}
  pkg_dir_path = epath.Path(__file__).parent

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'picture': tfds.features.Image(
            shape=self.SHAPE, encoding_format='png'
          ),
          'kind': tfds.features.ClassLabel(names=_NAMES),
          'note': tfds.features.Text(),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    return {name: self._examples(n) for name, n in self.SPLITS.items()}

  def _generate_examples(self):
    raise NotImplementedError

  def _examples(self, count):
    pictures = _pictures(count, self.SHAPE[-1], self.SHAPE[0])
    for index, picture in enumerate(pictures):
      example = {'picture': picture, 'kind': index % 3, 'note': str(index)}
      yield index, example


class TinyColor(_Tiny):
  pass


class TinyGray(_Tiny):
  SHAPE = (8, 8, 1)
  SPLITS = {'train': 12}


class TinyBare(_Tiny):
  """Images alone."""

  SHAPE = (16, 16, 3)
  SPLITS = {'train': 5}

  def _info(self):
    image = tfds.features.Image(shape=self.SHAPE, encoding_format='png')
    features = tfds.features.FeaturesDict({'picture': image})
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _examples(self, count):
    for index, picture in enumerate(_pictures(count, 3, 16)):
      yield index, {'picture': picture}


class TinySecret(_Tiny):
  """A split whose labels are not public."""

  SPLITS = {'test': 4}

  def _examples(self, count):
    for index, example in super()._examples(count):
      yield index, {**example, 'kind': -1}


class TinyAlpha(_Tiny):
  SHAPE = (None, None, 4)


def _prepare(builder, folder):
  builder(data_dir=str(folder)).download_and_prepare()
  return str(folder)


def test_pictures_of_several_sizes(tmp_path):
  folder = _prepare(TinyColor, tmp_path)
  with refusals.refused('task.train_data.image_size', (), 'a height'):
    data.open_dataset('tfds:tiny_color', folder)
  opened = data.open_dataset('tfds:tiny_color', folder, image_size=(5, 4))
  assert opened.spec.class_names == tuple(_NAMES)
  assert opened.spec.image_shape == (5, 4, 3)
  for source, count in (opened.train, 12), (opened.test, 5):
    assert source.images.shape == (count, 5, 4, 3)
    np.testing.assert_array_equal(
      np.bincount(source.labels), np.bincount(np.arange(count) % 3)
    )
  values = opened.train.images.reshape(-1, 3) / 255
  np.testing.assert_allclose(opened.spec.mean, values.mean(0), atol=1e-4)
  assert data.open_dataset('tfds:tiny_color', folder, (), (5, 4)) is opened


def test_gray_becomes_three_channels_and_splits_are_chosen(tmp_path):
  folder = _prepare(TinyGray, tmp_path)
  name = 'tfds:tiny_gray'
  with refusals.refused('task.train_data.test_split', 'test', 'train'):
    data.open_dataset(name, folder)
  config = configs.TrainDataConfig(
    name=name, data_dir=folder, train_split='train[:8]', test_split='train[8:]'
  )
  opened = data.open_configured(config)
  assert (len(opened.train), len(opened.test)) == (8, 4)
  together = np.concatenate([opened.train.images, opened.test.images])
  want = {picture.tobytes() for picture in _pictures(12, 1, 8)}
  assert {image[..., 1].tobytes() for image in together} == want
  np.testing.assert_array_equal(together[..., 0], together[..., 2])
  # Images without labels hold no test images.
  config.unlabeled, config.unlabeled_split = name, 'train[4:10]'
  found = data.open_unlabeled(opened, config).images
  np.testing.assert_array_equal(found, opened.train.images[4:])
  config.unlabeled = ''
  # No test image may be a training image.
  for split in '', 'train[3:9]':
    config.train_split = split
    with refusals.refused('task.train_data.test_split', 'train[8:]'):
      data.open_configured(config)


def test_without_a_test_set_all_is_out_of_distribution(tmp_path):
  folder = _prepare(TinyGray, tmp_path)
  source = data.open_out_of_distribution('tfds:tiny_gray', folder)
  assert len(source) == 12
  folder = _prepare(TinyColor, tmp_path)
  source = data.open_out_of_distribution('tfds:tiny_color', folder, (5, 4))
  assert len(source) == 5


def test_labels_that_are_not_public_are_missed_where_they_are_needed(tmp_path):
  folder = _prepare(TinySecret, tmp_path)
  decoding = data.Decoding(splits=('test[:50%]', 'test[50%:]'))
  with refusals.refused('task.train_data.train_split', 'test[:50%]', 'labels'):
    data.open_dataset('tfds:tiny_secret', folder, (), (5, 4), 0, decoding)
  # Images of other classes need neither labels nor a training split.
  source = data.open_out_of_distribution('tfds:tiny_secret', folder, (5, 4))
  assert len(source) == 4
  again = data.open_out_of_distribution('tfds:tiny_secret', folder, (5, 4))
  assert again is source


def test_images_without_labels_need_none(tmp_path):
  folder = _prepare(TinyBare, tmp_path)
  config = configs.TrainDataConfig(
    name='digits', data_dir=folder, unlabeled='tfds:tiny_bare'
  )
  dataset = data.open_configured(config)
  found = data.open_unlabeled(dataset, config)
  want = {picture.tobytes() for picture in _pictures(5, 3, 16)}
  assert {image.tobytes() for image in found.images} == want
  with refusals.refused('dataset name', 'tfds:tiny_bare', 'one label'):
    data.open_dataset('tfds:tiny_bare', folder)
  config.unlabeled_split = 'test'
  with refusals.refused('task.train_data.unlabeled_split', 'test', 'train'):
    data.open_unlabeled(dataset, config)


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
  folder = _prepare(TinyColor, tmp_path)

  def refuse(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'posix_fallocate', refuse)
  decoding = data.Decoding(image_cache=str(tmp_path / 'cache'))
  with pytest.raises(OSError, match='space'):
    data.open_dataset('tfds:tiny_color', folder, (), (5, 4), decoding=decoding)


def test_a_missing_network_is_found_out_at_once(tmp_path, monkeypatch):
  asked = []

  def refuse(url, timeout):
    asked.append(url)
    raise OSError('no route')

  monkeypatch.setattr(urllib.request, 'urlopen', refuse)
  urls = dict.fromkeys(['http://a', 'http://b'])
  monkeypatch.setattr(TinyColor, 'url_infos', urls, raising=False)
  with refusals.refused('data_dir', str(tmp_path), 'tiny_color'):
    data.open_dataset('tfds:tiny_color', str(tmp_path), image_size=(5, 4))
  assert asked == ['http://a']
  # What has been downloaded may be enough.
  (tmp_path / 'downloads').mkdir()
  opened = data.open_dataset('tfds:tiny_color', str(tmp_path), (), (5, 4))
  assert len(opened.test) == 5 and len(asked) == 1


def test_images_may_be_kept_on_disk(tmp_path, monkeypatch):
  folder = _prepare(TinyColor, tmp_path)
  options = {
    'image_size': (5, 4),
    'decoding': data.Decoding(image_cache=str(tmp_path / 'cache')),
  }
  plain = data.open_dataset('tfds:tiny_color', folder, image_size=(5, 4))
  made = data.open_dataset('tfds:tiny_color', folder, **options)
  assert made.test.fingerprint == plain.test.fingerprint
  datasets._open.cache_clear()
  monkeypatch.setattr(tfds_splits, 'batches', None)
  found = data.open_dataset('tfds:tiny_color', folder, **options)
  assert found.spec == plain.spec
  for split in 'train', 'test':
    one, other = getattr(found, split), getattr(plain, split)
    np.testing.assert_array_equal(one.images, other.images)
    assert one.fingerprint == other.fingerprint
  # It is stored, so that not all pixels are read whenever a command begins.
  again = data.open_dataset('tfds:tiny_color', folder, **options).train
  again.numpy = None
  assert again.fingerprint == plain.train.fingerprint


def test_others_are_refused(tmp_path):
  folder = _prepare(TinyAlpha, tmp_path)
  with refusals.refused('dataset name', 'tfds:tiny_alpha', '8-bit'):
    data.open_dataset('tfds:tiny_alpha', folder, image_size=(5, 5))
  with refusals.refused('data_dir', folder, 'tiny_nothing'):
    data.open_dataset('tfds:tiny_nothing', folder)
  for field in 'train_split', 'test_split':
    config = configs.TrainDataConfig(name='digits', **{field: 'train'})
    with refusals.refused(f'task.train_data.{field}', 'train', 'tfds'):
      data.open_configured(config)


def test_features_of_other_modules_are_refused(tmp_path):
  folder = _prepare(TinyColor, tmp_path)
  (file,) = tmp_path.glob('tiny_color/*/features.json')
  text = file.read_text()
  own = 'tensorflow_datasets.core.features.features_dict.FeaturesDict'
  assert own in text
  # JSON may write a letter in another way.
  file.write_text(text.replace(own, 'runs.stranger.p\\u0061yload.X'))
  with refusals.refused('data_dir', str(file), 'own features'):
    data.open_dataset('tfds:tiny_color', folder, image_size=(5, 4))


def test_a_damaged_file_is_named(tmp_path):
  folder = _prepare(TinyColor, tmp_path)
  (file,) = tmp_path.glob('tiny_color/*/*train*')
  content = bytearray(file.read_bytes())
  content[len(content) // 2] ^= 255
  file.write_bytes(content)
  for split in 'train', 'train[:3]+train[3:]':
    decoding = data.Decoding(splits=(split, ''))
    with refusals.refused('data_dir', str(file)):
      data.open_dataset(
        'tfds:tiny_color', folder, image_size=(5, 4), decoding=decoding
      )


def test_results_know_the_images_by_their_content(tmp_path, caplog):
  folder = _prepare(TinyGray, tmp_path / 'data')
  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.name = 'tfds:tiny_gray'
  config.task.train_data.data_dir = folder
  config.task.train_data.train_split = 'train[:8]'
  config.task.train_data.test_split = 'train[8:]'
  config.task.train_data.global_batch_size = 4
  config.teacher.global_batch_size = 4
  experiment = training.open_experiment(
    config, tf.distribute.OneDeviceStrategy('CPU:0')
  )

  def marks(noted=()):
    if noted:
      entry = {'made_from': [*noted, 'weights'], 'members': 1, 'parameters': 1}
      (tmp_path / 'systems.json').write_text(json.dumps({'a': entry}))
      results.write_json([], tmp_path / 'results.json')
    return evaluation.ResultCache(str(tmp_path), [], experiment).images

  before = marks()
  assert marks(before) == before and not caplog.messages
  # An older version did not note the images, so they are accepted as they are.
  marks([mark for mark in before if not mark.startswith('data:')])
  assert len(caplog.messages) == 1
  (records,) = pathlib.Path(folder).glob('tiny_gray/1.0.0/*.tfrecord*')
  content = bytearray(records.read_bytes())
  content[-9] ^= 1
  records.write_bytes(content)
  after = marks(before)
  assert after[:-1] == before[:-1] and after[-1] != before[-1]
  assert len(caplog.messages) == 1
