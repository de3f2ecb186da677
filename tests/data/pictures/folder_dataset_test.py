"""Tests of folders of pictures: their classes, splits, sizes and pixels."""

import os
import pickle
import shutil

from uncertainty_distill import data
from uncertainty_distill.data import pictures

import numpy as np
import picture_folders
import pytest
import refusals
import tensorflow as tf
import tiny_dataset
from PIL import Image, features

_SIZE = (8, 8)


@pytest.fixture(name='folder')
def fixture_folder(tmp_path):
  """Pictures of two classes, to train on and to test on."""
  picture_folders.write(tmp_path / 'train', ['wasp', 'bee'])
  picture_folders.write(tmp_path / 'test', ['wasp', 'bee'], 2, 'bmp', first=50)
  return tmp_path


def _open(folder, image_size=_SIZE, **options):
  decoding = data.Decoding(**options)
  return data.open_dataset(
    str(folder), image_size=image_size, decoding=decoding
  )


def test_a_folder_for_each_class(folder):
  for hidden in '._0.png', '.DS_Store', 'Thumbs.db':
    (folder / 'train' / 'bee' / hidden).write_bytes(b'no picture')
  (folder / 'train' / '.cache').mkdir()
  dataset = _open(folder)
  assert dataset.spec.class_names == ('bee', 'wasp')
  assert dataset.spec.image_shape == (*_SIZE, 3)
  assert (len(dataset.train), len(dataset.test)) == (8, 4)
  for source in dataset.train, dataset.test:
    names = [os.path.basename(os.path.dirname(path)) for path in source.paths]
    assert names == [source.spec.class_names[k] for k in source.labels]
    want = [pictures.read_picture(path, _SIZE) for path in source.paths]
    np.testing.assert_array_equal(source.images, want)
    rows = np.array([3, 0, 3])
    np.testing.assert_array_equal(
      source.read(tf.constant(rows)), np.stack(want)[rows]
    )
  values = dataset.train.images.reshape(-1, 3) / 255
  np.testing.assert_allclose(dataset.spec.mean, values.mean(0), atol=1e-4)
  np.testing.assert_allclose(dataset.spec.stddev, values.std(0), atol=1e-4)
  # The first examples are not all of one class.
  assert set(dataset.train.take(6).labels) == {0, 1}


def test_training_batches_are_those_of_the_arrays(folder):
  train = _open(folder).train
  arrays = data.ArraySource(train.spec, train.images, train.labels)
  batches = [
    next(
      iter(
        tiny_dataset.training_batches(
          data.Subset(source, np.arange(1, 8)),
          4,
          seed=3,
          padding=1,
          flip=True,
          start_step=5,
        )
      )
    )
    for source in (train, arrays)
  ]
  for name in 'images', 'labels':
    np.testing.assert_array_equal(batches[0][name], batches[1][name])


def test_classes_alone_are_divided(tmp_path):
  picture_folders.write(tmp_path / 'a', ['x', 'y'], 10)
  divided = _open(tmp_path / 'a', test_fraction=0.2)
  assert (len(divided.train), len(divided.test)) == (16, 4)
  assert list(np.bincount(divided.test.labels)) == [2, 2]
  tested = {os.path.relpath(p, tmp_path / 'a') for p in divided.test.paths}
  # The same pictures in another folder, then with one more picture.
  shutil.copytree(tmp_path / 'a', tmp_path / 'b')
  moved = _open(tmp_path / 'b', test_fraction=0.2)
  assert {
    os.path.relpath(p, tmp_path / 'b') for p in moved.test.paths
  } == tested
  assert moved.train.fingerprint == divided.train.fingerprint
  picture_folders.random_picture(99).save(tmp_path / 'b' / 'x' / 'more.png')
  more = _open(tmp_path / 'b', test_fraction=0.2)
  kept = {os.path.relpath(p, tmp_path / 'b') for p in more.test.paths}
  assert len(kept & tested) >= 3
  # Classes in train/ without a test set are divided, too.
  (tmp_path / 'c').mkdir()
  os.rename(tmp_path / 'a', tmp_path / 'c' / 'train')
  assert len(_open(tmp_path / 'c', test_fraction=0.5).test) == 10


@pytest.mark.parametrize('fraction', [-0.2, 1.0, 20, float('nan')])
def test_a_share_to_test_on_is_one(fraction, tmp_path):
  picture_folders.write(tmp_path, ['wasp', 'bee'])
  with refusals.refused('test_fraction'):
    _open(tmp_path, test_fraction=fraction)


def test_names_of_files_are_in_any_encoding(folder):
  images = {image.tobytes() for image in _open(folder).train.images}
  for path in (folder / 'train').glob('*/*'):
    name = os.fsencode(path.parent) + b'/\xe9' + os.fsencode(path.name)
    os.rename(path, name)
  assert {i.tobytes() for i in _open(folder).train.images} == images


def test_the_fingerprint_is_of_the_contents(folder):
  before = _open(folder).train
  part = data.Subset(before, np.arange(4)).fingerprint
  assert len({before.fingerprint, part, _open(folder).test.fingerprint}) == 3
  assert _open(folder, (9, 8)).train.fingerprint != before.fingerprint
  cropped = _open(folder, image_fit='crop').train
  assert cropped.fingerprint != before.fingerprint
  path = before.paths[0]
  picture_folders.random_picture(77).save(path)
  after = _open(folder).train
  assert after.paths == before.paths
  assert after.fingerprint != before.fingerprint


def test_one_size_needs_no_other(tmp_path):
  picture_folders.write(tmp_path, ['a', 'b'], 3, size=(7, 5))
  dataset = _open(tmp_path, (), test_fraction=0.3)
  assert dataset.spec.image_shape == (7, 5, 3)
  assert _open(tmp_path, (9, 9), test_fraction=0.3).spec.image_shape == (
    9,
    9,
    3,
  )
  picture_folders.random_picture(5, 8, 5).save(tmp_path / 'a' / '0.png')
  with refusals.refused('task.train_data.image_size', (), 'different sizes'):
    _ = _open(tmp_path, (), test_fraction=0.3).test


def test_fits_keep_proportions(tmp_path):
  # White in the middle third, black at both ends.
  pixels = np.zeros([4, 12, 3], np.uint8)
  pixels[:, 4:8] = 255
  path = str(tmp_path / 'wide.png')
  Image.fromarray(pixels).save(path)
  crop = pictures.read_picture(path, (4, 4), 'crop')
  assert (crop == 255).all()
  pad = pictures.read_picture(path, (12, 12), 'pad')
  np.testing.assert_array_equal(pad[4:8], pixels)
  assert not pad[:4].any() and not pad[8:].any()
  resized = pictures.read_picture(path, (4, 3))
  assert (resized[:, 1] > 150).all() and (resized[:, 0] < 100).all()


def test_broken_pictures_are_named_or_left_out(folder, caplog):
  broken = folder / 'train' / 'wasp' / '1.png'
  content = broken.read_bytes()
  broken.write_bytes(content[: len(content) // 2])
  with refusals.refused('dataset name', str(folder), 'can be read') as caught:
    _open(folder)
  assert str(broken) in str(caught.value)
  assert len(_open(folder, skip_broken=True).train) == 7
  assert '1 of 8' in caplog.text
  for path in (folder / 'train' / 'wasp').iterdir():
    path.write_bytes(b'')
  with refusals.refused('dataset name', str(folder), 'can be read') as caught:
    _open(folder, skip_broken=True)
  assert 'wasp' in caught.value.hint


@pytest.mark.skipif(
  not features.check('avif'), reason='Pillow is built without AVIF'
)
def test_a_decoder_that_fails_in_its_own_way_breaks_a_picture(folder):
  """That of AVIF raises a RuntimeError for some damaged blocks."""
  broken = folder / 'train' / 'wasp' / 'broken.avif'
  picture_folders.random_picture(9, 64, 64).save(broken)
  header, mark, frame = broken.read_bytes().partition(b'mdat')
  broken.write_bytes(header + mark + bytes(32) + frame[32:])
  with pytest.raises(RuntimeError), Image.open(broken) as picture:
    picture.load()
  with refusals.refused('dataset name', str(folder), 'can be read'):
    _open(folder)
  assert len(_open(folder, skip_broken=True).train) == 8


def test_a_program_is_no_picture(folder):
  """Pillow would run Ghostscript, whatever the file's name says."""
  text = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n'
  (folder / 'train' / 'bee' / 'a.gif').write_bytes(text + b'{} loop\n')
  with refusals.refused('dataset name', str(folder)) as caught:
    _open(folder)
  assert 'a.gif: not an image' in str(caught.value)


def test_other_folders_are_refused(tmp_path):
  def refused(name, folder, expected, hint, **options):
    value = options.get('test_fraction', 0.0) if 'task' in name else str(folder)
    with refusals.refused(name, value, expected) as caught:
      _open(folder, **options)
    assert hint in f'{caught.value.hint} {caught.value}'

  name, fraction = 'dataset name', 'task.train_data.test_fraction'
  half = {'test_fraction': 0.5}
  empty = tmp_path / 'empty'
  empty.mkdir()
  refused(name, empty, 'CLASS/', 'no picture', **half)
  picture_folders.random_picture(0).save(empty / 'loose.png')
  refused(name, empty, 'CLASS/', 'each class', **half)
  picture_folders.write(tmp_path / 'one', ['a'])
  refused(name, tmp_path / 'one', 'two classes', 'a', **half)
  picture_folders.write(tmp_path / 'two', ['a', 'b'], 1)
  refused(name, tmp_path / 'two', 'two pictures', 'a has 1', **half)
  refused(fraction, tmp_path / 'two', 'above 0', '0.2')
  (tmp_path / 'two' / 'c').mkdir()
  refused(name, tmp_path / 'two', 'every class', 'c', **half)
  picture_folders.write(tmp_path / 'other' / 'train', ['a', 'b'])
  picture_folders.write(tmp_path / 'other' / 'val', ['a', 'c'])
  refused(name, tmp_path / 'other', 'same classes', 'b, c')
  refused(fraction, tmp_path / 'other', '0, since', '', **half)
  picture_folders.write(tmp_path / 'tests' / 'test', ['a', 'b'])
  refused(name, tmp_path / 'tests', 'train/', 'no train/')
  picture_folders.write(tmp_path / 'lines', ['a', 'b\nc'])
  refused(name, tmp_path / 'lines', 'one line', r"rename 'b\nc'", **half)
  picture_folders.write(tmp_path / 'fit', ['a', 'b'])
  with refusals.refused('image_fit', 'shrink', 'resize, crop, pad'):
    _open(tmp_path / 'fit', image_fit='shrink', **half)
  with refusals.refused(fraction, 0.5, 'a folder'):
    data.open_dataset('digits', decoding=data.Decoding(**half))
  with refusals.refused('task.train_data.skip_broken', True, 'a folder'):
    data.open_dataset('digits', decoding=data.Decoding(skip_broken=True))


def test_other_processes_can_read_it(folder):
  train = _open(folder).train
  copied = pickle.loads(pickle.dumps(train))
  np.testing.assert_array_equal(copied.images, train.images)


def test_a_class_may_be_called_train(tmp_path):
  picture_folders.write(tmp_path, ['bus', 'train'])
  dataset = _open(tmp_path, test_fraction=0.25)
  assert dataset.spec.class_names == ('bus', 'train')


@pytest.mark.parametrize('names', [('Test', 'Train'), ('test', 'training')])
def test_splits_are_not_taken_for_classes(names, tmp_path):
  for name in names:
    picture_folders.write(tmp_path / name, ['bee', 'wasp'])
  with refusals.refused('dataset name', str(tmp_path)) as caught:
    _open(tmp_path, test_fraction=0.25)
  assert names[0] in caught.value.hint


def test_a_link_to_a_folder_above_repeats_nothing(folder):
  (folder / 'train' / 'bee' / 'loop').symlink_to('..')
  (folder / 'train' / 'bee' / 'own').symlink_to('.')
  dataset = _open(folder)
  assert (len(dataset.train), len(dataset.test)) == (8, 4)


def test_pictures_get_a_height_and_a_width(folder):
  with refusals.refused('image_size', (8,)):
    _open(folder, (8,))
