"""Tests of images without labels: their sources, and their order in batches."""

from uncertainty_distill import configs, data
from uncertainty_distill.data import pictures
from uncertainty_distill.data import unlabeled as unlabeled_lib

import numpy as np
import picture_folders
import pytest
import refusals
import tensorflow as tf
import tiny_dataset
from PIL import Image

_NAME = 'task.train_data.unlabeled'


def _numbered(num_labeled, num_unlabeled):
  """Returns numbered images, the last of which have no labels."""
  source = tiny_dataset.numbered(num_labeled + num_unlabeled)
  rows = np.arange(num_labeled, len(source))
  return data.Concatenation(
    source.take(num_labeled),
    data.Subset(source, rows, np.full(len(rows), -1)),
  )


def _batches(source, batch, num_unlabeled, **kwargs):
  return data.training_batches(
    data.Views(source), batch, seed=3, num_unlabeled=num_unlabeled, **kwargs
  )


def _rows(source, batches):
  """Returns the row of each image in each batch, found by its content."""
  known = {image.tobytes(): row for row, image in enumerate(source.images)}
  return [
    [known[image.tobytes()] for image in batch['images'].numpy()]
    for batch in batches
  ]


def test_the_share_of_each_batch_has_no_label():
  # Each of 4 steps has 3 images with labels and 5 without. The 7 images without
  # labels take turns.
  source = _numbered(13, 7)
  batches = list(_batches(source, 8, 5).take(12))
  rows = np.array(_rows(source, batches))
  labels = np.array([batch['labels'] for batch in batches])
  np.testing.assert_array_equal(labels, np.where(rows < 13, rows, -1))
  assert ((labels == -1).sum(1) == 5).all()
  # Two halves of a batch differ by at most one image without a label.
  assert set((labels == -1)[:, :4].sum(1)) == {2}
  # An epoch shows no image with a label twice.
  for epoch in np.split(rows, 3):
    seen = epoch[epoch < 13]
    assert len(set(seen)) == len(seen) == 12
  # The others come in permutations, which continue from epoch to epoch.
  others = rows[rows >= 13]
  passes = others[: 8 * 7].reshape(8, 7)
  assert all(set(each) == set(range(13, 20)) for each in passes)
  assert len({tuple(each) for each in passes}) == 8


def test_the_order_of_the_examples_with_labels_is_what_it_is_without_others():
  source = _numbered(12, 5)
  mixed = list(_batches(source, 6, 2).take(6))
  alone = list(_batches(source.take(12), 4, 0).take(6))
  for one, other in zip(mixed, alone):
    labels = one['labels'].numpy()
    np.testing.assert_array_equal(labels[labels >= 0], other['labels'])


@pytest.mark.parametrize('start_step', [1, 3, 7])
def test_it_goes_on_at_any_step(start_step):
  source = _numbered(13, 6)
  later = _batches(source, 6, 2, start_step=start_step).take(5)
  skipped = _batches(source, 6, 2).skip(start_step).take(5)
  assert _rows(source, later) == _rows(source, skipped)


def test_replicas_share_a_batch_out():
  source = _numbered(13, 6)
  context = tf.distribute.InputContext(1, 0, 2)
  halves = _rows(source, _batches(source, 6, 2, context=context).take(10))
  joined = [a + b for a, b in zip(halves[::2], halves[1::2])]
  assert joined == _rows(source, _batches(source, 6, 2).take(5))


def test_stored_logits_are_those_of_the_rows():
  source = _numbered(8, 4)
  logits = tf.cast(tf.reshape(tf.range(12), [12, 1, 1]), tf.float16)
  batches = _batches(
    source, 6, 2, teacher_logits=lambda _, rows: tf.gather(logits, rows)
  )
  batches = list(batches.take(4))
  found = np.array([b['teacher_logits'][:, 0, 0] for b in batches])
  np.testing.assert_array_equal(found, _rows(source, batches))


def test_a_concatenation_reads_both_and_is_known_by_both():
  one, other = tiny_dataset.numbered(5), tiny_dataset.make(number=4, size=4)
  both = data.Concatenation(one, other)
  images = np.concatenate([one.images, other.images])
  np.testing.assert_array_equal(both.images, images)
  np.testing.assert_array_equal(both.labels, [0, 1, 2, 3, 4, 0, 1, 2, 0])
  for rows in [7, 0, 5, 4, 4], [1], [8]:
    np.testing.assert_array_equal(both.read(tf.constant(rows)), images[rows])
    np.testing.assert_array_equal(both.numpy(np.array(rows)), images[rows])
  turned = data.Concatenation(other, one)
  assert both.fingerprint == data.Concatenation(one, other).fingerprint
  assert both.fingerprint not in (turned.fingerprint, one.fingerprint)


def _open(unlabeled, name='digits', **values):
  train_data = configs.TrainDataConfig(name=name, unlabeled=unlabeled, **values)
  return data.open_unlabeled(data.open_configured(train_data), train_data)


def test_the_rest_is_what_num_examples_leaves_out():
  train = data.open_dataset('digits').train
  rest = _open('rest', num_examples=790)
  np.testing.assert_array_equal(rest.images, train.images[790:])
  np.testing.assert_array_equal(rest.labels, [-1] * 7)
  with refusals.refused('task.train_data.num_examples', 797):
    _open('rest', num_examples=797)


def test_they_may_be_fewer_which_leaves_examples_to_fit_temperatures(tmp_path):
  train = data.open_dataset('digits').train
  rest = _open('rest', num_examples=700, unlabeled_examples=50)
  np.testing.assert_array_equal(rest.images, train.images[700:750])
  path = str(tmp_path / 'images.npz')
  np.savez(path, images=train.images[:9])
  assert len(_open(path, unlabeled_examples=4)) == 4
  name = 'task.train_data.unlabeled_examples'
  for source, count in ('rest', 98), (path, 10):
    with refusals.refused(name, count, str(count - 1)):
      _open(source, num_examples=700, unlabeled_examples=count)

  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.override(
    {'unlabeled': 'rest', 'num_examples': 700, 'unlabeled_examples': 50}
  )
  config.evaluation.override(
    {'corruptions': (), 'severities': (), 'temperature_examples': 47}
  )
  sets = data.open_evaluation_sets(config, data.open_dataset('digits'))
  np.testing.assert_array_equal(sets.temperature.images, train.images[750:])
  config.evaluation.temperature_examples = 48
  with refusals.refused('evaluation.temperature_examples', 48, '47'):
    data.open_evaluation_sets(config, data.open_dataset('digits'))


def test_there_may_be_none():
  assert _open('') is None


def test_pictures_of_a_folder_at_any_depth_get_the_size(tmp_path):
  folder = tmp_path / 'pictures'
  picture_folders.write(folder / 'deep', ['a', 'b'], number=2)
  picture_folders.random_picture(9, 20, 20).save(folder / 'c.png')
  (folder / '._c.png').write_bytes(b'no picture')
  source = _open(str(folder))
  assert source.images.shape == (5, 16, 16, 3)
  assert set(source.labels) == {-1}
  again = _open(str(folder))
  assert again.fingerprint == source.fingerprint
  Image.new('RGB', (20, 20)).save(folder / 'd.png')
  assert _open(str(folder)).fingerprint != source.fingerprint


def test_they_hold_no_test_images(tmp_path):
  digits = data.open_configured(
    configs.TrainDataConfig(name='digits', test_from_training=200)
  )
  config = configs.TrainDataConfig(
    name='digits', test_from_training=200, unlabeled='digits'
  )
  found = unlabeled_lib.open_unlabeled(digits, config)
  assert len(found) == len(digits.train)
  tested = {image.tobytes() for image in digits.test.images}
  assert not tested & {image.tobytes() for image in found.images}
  folder = str(tmp_path / 'pictures')
  picture_folders.write(tmp_path / 'pictures', ['a', 'b'], 5)
  config = configs.TrainDataConfig(
    name=folder, test_fraction=0.4, image_size=(12, 12), unlabeled=folder
  )
  dataset = data.open_configured(config)
  found = unlabeled_lib.open_unlabeled(dataset, config)
  assert (len(dataset.test), len(found)) == (4, 6)
  np.testing.assert_array_equal(
    np.sort(found.row_digests(slice(None)).tolist()),
    np.sort(dataset.train.row_digests(slice(None)).tolist()),
  )


def test_a_folder_of_test_pictures_is_refused(tmp_path):
  for part, first in ('train', 0), ('test', 100):
    picture_folders.write(tmp_path / part, ['a', 'b'], 3, first=first)
  train_data = configs.TrainDataConfig(
    name=str(tmp_path), image_size=(12, 12), unlabeled=str(tmp_path / 'test')
  )
  dataset = data.open_configured(train_data)
  with refusals.refused(_NAME, str(tmp_path / 'test')):
    data.open_unlabeled(dataset, train_data)
  # Of other pictures beside them, all are shown.
  picture_folders.write(tmp_path / 'test' / 'more', ['c'], 2, first=200)
  assert len(data.open_unlabeled(dataset, train_data)) == 2


@pytest.mark.parametrize(
  'values, expected',
  [
    ({'name': 'digits', 'unlabeled': 'digits'}, True),
    ({'name': 'digits', 'unlabeled': 'rest'}, False),
    ({'name': 'a/b', 'unlabeled': 'a/b/train'}, True),
    ({'name': 'a/b', 'unlabeled': 'a'}, True),
    ({'name': 'a/b', 'unlabeled': 'a/bc'}, False),
    ({'name': 'tfds:x', 'unlabeled': 'tfds:x'}, True),
    (
      {
        'name': 'tfds:x',
        'unlabeled': 'tfds:x',
        'unlabeled_split': 'unlabelled[:9]',
      },
      False,
    ),
    ({'name': 'tfds:x', 'unlabeled': 'tfds:x', 'unlabeled_split': 'all'}, True),
  ],
)
def test_what_may_be_labeled_images_as_well(values, expected):
  assert configs.TrainDataConfig(**values).unlabeled_overlaps == expected


def test_pictures_are_decoded_once_into_a_cache(tmp_path, monkeypatch):
  folder = tmp_path / 'pictures'
  picture_folders.write(folder, ['a', 'b'], number=2)
  plain, cache = _open(str(folder)), str(tmp_path / 'cache')
  made = _open(str(folder), image_cache=cache)
  # As in a new process.
  unlabeled_lib._open.cache_clear()

  def refuse(*args):
    raise AssertionError(args)

  monkeypatch.setattr(pictures, 'PictureFolder', refuse)
  again = _open(str(folder), image_cache=cache)
  for source in made, again:
    np.testing.assert_array_equal(source.images, plain.images)
    assert set(source.labels) == {-1}
    assert source.fingerprint == plain.fingerprint


def test_a_broken_picture_is_named_or_left_out(tmp_path):
  (tmp_path / 'a.png').write_bytes(b'no picture')
  for skip_broken in False, True:
    with refusals.refused('dataset name', str(tmp_path)) as caught:
      _open(str(tmp_path), skip_broken=skip_broken)
    assert 'a.png' in str(caught.value)
  picture_folders.random_picture(9).save(tmp_path / 'b.png')
  assert len(_open(str(tmp_path), skip_broken=True)) == 1


def test_images_of_an_npz_need_no_labels(tmp_path):
  images = tiny_dataset.make(size=16).images
  for name, arrays in {
    'own': {'images': images},
    'gray': {'images': images[..., 0]},
    'dataset': {'train_images': images, 'test_images': images[:1]},
    'larger': {'images': images.repeat(2, 1).repeat(2, 2)},
  }.items():
    path = str(tmp_path / f'{name}.npz')
    np.savez(path, **arrays)
    source = _open(path)
    want = images[..., :1].repeat(3, -1) if name == 'gray' else images
    np.testing.assert_array_equal(source.images, want)
    assert set(source.labels) == {-1}


def test_bad_sources_are_refused(tmp_path):
  np.savez(tmp_path / 'small.npz', images=np.zeros([2, 8, 8, 3], np.uint8))
  np.savez(tmp_path / 'floats.npz', images=np.zeros([2, 16, 16, 3]))
  np.savez(tmp_path / 'none.npz', labels=np.zeros([2]))
  (tmp_path / 'text.npz').write_text('no archive')
  (tmp_path / 'empty').mkdir()
  for name in 'small.npz', 'none.npz', 'text.npz', 'empty', 'missing':
    path = str(tmp_path / name)
    with refusals.refused(_NAME, path):
      _open(path)
  path = str(tmp_path / 'floats.npz')
  with refusals.refused(f'images of {path}', 'float64 [2, 16, 16, 3]'):
    _open(path)


def test_a_folder_does_not_take_the_place_of_a_known_dataset(
  tmp_path, monkeypatch
):
  picture_folders.write(tmp_path / 'digits', ['a'], size=(16, 16))
  monkeypatch.chdir(tmp_path)
  train_data = configs.TrainDataConfig(name='digits', unlabeled='digits')
  digits = data.open_configured(train_data)
  assert len(unlabeled_lib.open_unlabeled(digits, train_data)) == 797
