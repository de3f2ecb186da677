"""Tests of datasets in the user's own `.npz` files."""

import os
import tracemalloc

import uncertainty_distill as ud
from uncertainty_distill import data
from uncertainty_distill.io import archives

import numpy as np
import pytest
import refusals


def _arrays():
  generator = np.random.default_rng(0)
  return {
    'train_images': generator.integers(0, 200, (7, 4, 5, 3), dtype=np.uint8),
    'train_labels': np.array([0, 1, 2, 0, 1, 2, 0]),
    'test_images': generator.integers(0, 200, (3, 4, 5, 3), dtype=np.uint8),
    'test_labels': np.array([0, 3, 1], np.uint8),
  }


@pytest.fixture(name='path')
def _path(tmp_path):
  return str(tmp_path / 'own.npz')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_own_file(path, save):
  arrays = _arrays()
  save(path, **arrays)
  dataset = data.open_dataset(path)
  spec = dataset.spec
  assert spec.name == path and spec.image_shape == (4, 5, 3)
  # The largest label of both splits gives the number of classes.
  assert spec.num_classes == 4
  assert (dataset.num_train, len(dataset.test)) == (7, 3)
  for split in 'train', 'test':
    source = getattr(dataset, split)
    assert source.spec == spec
    np.testing.assert_array_equal(source.images, arrays[f'{split}_images'])
    np.testing.assert_array_equal(source.labels, arrays[f'{split}_labels'])


def test_moments_are_those_of_all_channels_and_images(path, monkeypatch):
  monkeypatch.setattr('uncertainty_distill.data.channel_moments._CHUNK', 30)
  images = np.random.default_rng(1).integers(0, 256, (7, 4, 5, 3))
  images = (images // (1, 2, 3)).astype(np.uint8)
  np.savez(path, **{**_arrays(), 'train_images': images})
  spec = data.open_dataset(path).spec
  assert spec.mean == tuple((images / 255).mean((0, 1, 2)).round(4))
  assert spec.stddev == tuple((images / 255).std((0, 1, 2)).round(4))


def test_constant_images_can_be_standardized(path):
  images = np.zeros((7, 4, 5, 3), np.uint8)
  np.savez(path, **{**_arrays(), 'train_images': images})
  assert data.open_dataset(path).spec.stddev == (1e-3,) * 3


def test_a_file_is_read_once(path, monkeypatch):
  np.savez(path, **_arrays())
  read, asked = archives.read_arrays, []

  def counted(path):
    asked.append(path)
    return read(path)

  monkeypatch.setattr(archives, 'read_arrays', counted)
  dataset = data.open_dataset(path)
  monkeypatch.chdir(os.path.dirname(path))
  for _ in range(3):
    assert data.open_dataset(path, '', ()).spec is dataset.spec
    assert data.open_dataset(path, classes=(0, 1)).train.source is dataset.train
    assert ud.load_dataset(path, 'train') is dataset.train
  assert asked == [path]
  unknown = data.open_out_of_distribution(path)
  assert data.open_out_of_distribution(path) is unknown
  assert asked == [path, path]


def test_a_file_that_was_changed_is_read_anew(path):
  arrays = _arrays()
  np.savez(path, **arrays)
  before = data.open_dataset(path)
  arrays['train_images'][0] = 255
  np.savez(path, **arrays)
  os.utime(path, ns=(1, 1))  # Whatever the resolution of the clock.
  after = data.open_dataset(path)
  assert after.train.images[0].min() == 255 != before.train.images[0].min()
  assert after.train.fingerprint != before.train.fingerprint
  assert after.test.fingerprint == before.test.fingerprint


def test_a_file_takes_no_more_memory_than_its_arrays(path):
  arrays = {
    'train_images': np.full((4000, 32, 32, 3), 7, np.uint8),
    'train_labels': np.arange(4000) % 10,
    'test_images': np.zeros((100, 32, 32, 3), np.uint8),
    'test_labels': np.arange(100) % 10,
  }
  size = sum(array.nbytes for array in arrays.values())
  np.savez(path, **arrays)
  tracemalloc.start()
  try:
    dataset = data.open_dataset(path)
    assert len(dataset.train) == 4000 and len(dataset.test) == 100
    assert len(data.open_dataset(path, classes=(1, 2)).train) == 800
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  # Counting the levels of a chunk takes 8 MB.
  assert peak < 1.1 * size + 12e6


@pytest.mark.parametrize(
  'names',
  [['cat', 'dog', 'eel', 'fly'], np.array([b'cat', b'dog', b'e', b'f'])],
)
def test_names_of_classes(path, names):
  np.savez(path, **_arrays(), class_names=names)
  names = data.open_dataset(path).spec.class_names
  assert names[:2] == ('cat', 'dog') and len(names) == 4
  some = data.open_dataset(path, classes=(3, 0)).spec
  assert some.class_names == (names[3], 'cat')


def test_classes_without_names_are_called_by_their_labels(path):
  np.savez(path, **_arrays())
  assert data.open_dataset(path).spec.class_names == ('0', '1', '2', '3')


@pytest.mark.parametrize('names', [['a', 'b', 'c'], [0, 1, 2, 3], 'abcd', [[]]])
def test_refuses_names_of_another_number_or_kind(path, names):
  np.savez(path, **_arrays(), class_names=names)
  with refusals.refused(f'class_names of {path}', expected='4 strings'):
    data.open_dataset(path)


def test_refuses_names_in_another_encoding(path):
  names = [name.encode('latin-1') for name in ('café', 'b', 'c', 'd')]
  np.savez(path, **_arrays(), class_names=np.array(names))
  with refusals.refused(f'class_names of {path}', expected='UTF-8'):
    data.open_dataset(path)


def test_refuses_names_of_several_lines(path):
  names = ['a\nb', 'c', 'd', 'e']
  np.savez(path, **_arrays(), class_names=names)
  with refusals.refused(f'class_names of {path}', names, 'one line'):
    data.open_dataset(path)


def test_refuses_names_that_are_there_twice(path):
  np.savez(path, **_arrays(), class_names=['a', 'b', 'a', 'c'])
  with refusals.refused(f'class_names of {path}', ['a', 'b', 'a', 'c']):
    data.open_dataset(path)


@pytest.mark.parametrize(
  'name, array, value',
  [
    ('train_images', np.zeros((7, 4, 5, 3)), 'float64 [7, 4, 5, 3]'),
    ('train_images', np.uint8(0), 'uint8 []'),
    ('train_images', np.zeros((0, 4, 5, 3), np.uint8), 'uint8 [0, 4, 5, 3]'),
    ('test_images', np.zeros((0, 4, 5, 3), np.uint8), 'uint8 [0, 4, 5, 3]'),
    ('test_images', np.zeros((3, 4, 4, 3), np.uint8), 'uint8 [3, 4, 4, 3]'),
    ('train_labels', np.zeros(6, int), 'int64 [6]'),
    ('train_labels', np.zeros(7), 'float64 [7]'),
    ('train_labels', np.zeros(7, bool), 'bool [7]'),
    ('test_labels', np.array([0, 1, -1]), -1),
    ('test_labels', np.array(0), 'int64 []'),
  ],
)
def test_refuses_other_arrays(path, name, array, value):
  np.savez(path, **{**_arrays(), name: array})
  with refusals.refused(f'{name} of {path}', value):
    data.open_dataset(path)


@pytest.mark.parametrize(
  'name, mend',
  [
    ('train_labels', lambda labels: np.eye(4, dtype=int)[labels]),
    ('train_labels', lambda labels: labels.astype(float)),
    ('train_images', lambda images: images.transpose(0, 3, 1, 2)),
    ('train_images', lambda images: images / np.float32(255)),
    ('train_images', lambda images: images.astype(np.float32)),
    ('train_images', lambda images: images.astype(int)),
    ('train_images', lambda images: images.astype(np.uint16) * 257),
    ('train_images', lambda images: images[:, None, ..., 0] / 255),
  ],
)
def test_the_advice_mends_layouts_of_other_libraries(path, name, mend):
  want = _arrays()
  if name == 'train_images':  # Gray, so that no layout loses anything.
    want[name] = np.repeat(want[name][..., :1], 3, -1)
  array = mend(want[name])
  np.savez(path, **{**want, name: array})
  with refusals.refused(f'{name} of {path}') as caught:
    data.open_dataset(path)
  for step in caught.value.hint.split('; '):
    code = step.split(': ')[-1].removeprefix('write ')
    array = eval(code, {'np': np, 'images': array, 'labels': array})
  np.testing.assert_array_equal(array, want[name])
  assert array.dtype.kind == want[name].dtype.kind


def test_several_labels_an_image_are_named(path):
  labels = np.zeros((7, 14), int)
  labels[:, [3, 5]] = 1
  np.savez(path, **{**_arrays(), 'train_labels': labels})
  with refusals.refused(f'train_labels of {path}', 'int64 [7, 14]') as caught:
    data.open_dataset(path)
  assert 'several labels' in caught.value.hint


@pytest.mark.parametrize(
  'train_labels, test_labels, said',
  [
    ([0, 1, 2, 0, 1, 2, 255], [0, 1, 2], '255'),
    ([0, 1, 2, 0, 1, 4, 0], [0, 1, 2], '3'),
    ([0, 1, 2, 0, 1, 2, 0], [0, 3, 2], 'test images'),
  ],
)
def test_labels_that_look_like_a_mistake_are_pointed_out(
  path, train_labels, test_labels, said, caplog
):
  labels = {'train_labels': train_labels, 'test_labels': test_labels}
  np.savez(path, **{**_arrays(), **labels})
  data.open_dataset(path)
  (line,) = caplog.messages
  assert said in line and '\n' not in line


def test_labels_that_do_not_begin_at_0_are_refused(path):
  labels = {'train_labels': [2, 3, 4, 2, 3, 4, 2], 'test_labels': [2, 3, 4]}
  np.savez(path, **{**_arrays(), **labels})
  name, value = f'train_labels of {path}', 'labels from 2 to 4'
  with refusals.refused(name, value, 'from 0 to 2') as caught:
    data.open_dataset(path)
  assert 'subtract 2' in caught.value.hint
  names = list('abcde')
  np.savez(path, **{**_arrays(), **labels}, class_names=names)
  assert data.open_dataset(path).spec.class_names == tuple(names)


@pytest.mark.parametrize('gray', [lambda x: x[..., 0], lambda x: x[..., :1]])
def test_gray_images_and_columns_of_labels_as_in_medmnist(path, gray):
  want = _arrays()
  for split in 'train', 'test':
    images = f'{split}_images'
    want[images] = np.repeat(want[images][..., :1], 3, -1)
  np.savez(path, **want)
  color = data.open_dataset(path)
  columns = {
    name: gray(array) if 'images' in name else array[:, None]
    for name, array in want.items()
  }
  np.savez(path, **columns)
  os.utime(path, ns=(1, 1))
  opened = data.open_dataset(path)
  assert opened.spec == color.spec
  for split in 'train', 'test':
    source, other = getattr(opened, split), getattr(color, split)
    np.testing.assert_array_equal(source.images, other.images)
    np.testing.assert_array_equal(source.read([1, 2]), other.read([1, 2]))
    assert source.fingerprint == other.fingerprint


def test_a_single_class_is_refused(path):
  np.savez(path, **{**_arrays(), 'train_labels': np.full(7, 2)})
  with refusals.refused(f'train_labels of {path}', 2, 'two classes'):
    data.open_dataset(path)


def test_ordinary_labels_pass_in_silence(path, caplog):
  np.savez(path, **{**_arrays(), 'test_labels': np.array([0, 2, 1])})
  data.open_dataset(path)
  assert not caplog.messages


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


def _save_objects(path):
  np.savez(path, **{**_arrays(), 'test_labels': np.array([0, 1, None])})


def _save_three(path):
  arrays = _arrays()
  del arrays['test_labels']
  np.savez(path, **arrays)


@pytest.mark.parametrize(
  'save',
  [
    _save_nothing,
    _save_text,
    _save_array,
    _save_half,
    _save_damaged,
    _save_objects,
    _save_three,
  ],
)
def test_refuses_files_of_another_kind(path, save):
  save(path)
  with refusals.refused('dataset name', path, 'an .npz file with train_images'):
    data.open_dataset(path)


@pytest.mark.parametrize(
  'labels, value',
  [
    (np.array([0, 2**63, 1], np.uint64), 2**63),
    (np.array([0, 10**9, 1]), 10**9),
    (np.array(['cat', 'dog', 'cat']), '<U3 [3]'),
  ],
)
def test_labels_that_do_not_count_classes_are_to_be_numbered(
  path, labels, value
):
  np.savez(path, **{**_arrays(), 'test_labels': labels})
  with refusals.refused(f'test_labels of {path}', value) as caught:
    data.open_dataset(path)
  assert 'np.unique' in caught.value.hint
