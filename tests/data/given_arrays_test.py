"""Tests of arrays from Python code as a dataset of the process."""

from uncertainty_distill import configs, data

import numpy as np
import refusals


def _arrays(number, seed=0):
  rng = np.random.RandomState(seed)
  images = rng.randint(0, 256, [number, 5, 4, 3]).astype(np.uint8)
  return images, np.arange(number) % 3


def test_arrays_are_known_by_their_content():
  train, test = _arrays(20), _arrays(6, 1)
  name = data.keep_arrays(train, test, ['a', 'b', 'c'])
  assert data.keep_arrays(_arrays(20), _arrays(6, 1), ['a', 'b', 'c']) == name
  others = (
    data.keep_arrays(train, test),
    data.keep_arrays(train),
    data.keep_arrays(_arrays(20, 2), test, ['a', 'b', 'c']),
  )
  assert len({name, *others}) == 4
  config = configs.TrainDataConfig(name=name)
  opened = data.open_configured(config)
  assert opened.spec.class_names == ('a', 'b', 'c')
  assert opened.spec.name == opened.train.spec.name == name
  for source, (images, labels) in (opened.train, train), (opened.test, test):
    np.testing.assert_array_equal(source.images, images)
    np.testing.assert_array_equal(source.labels, labels)
  small = data.open_dataset(name, classes=(0, 2), image_size=(3, 3))
  assert small.train.images.shape == (13, 3, 3, 3)
  # The name is not a path.
  assert not configs.is_path(name)


def test_a_fifth_is_drawn_to_test_on():
  images, labels = _arrays(20)
  opened = data.open_dataset(data.keep_arrays((images, labels)))
  assert (len(opened.train), len(opened.test)) == (16, 4)
  found = np.concatenate([opened.train.images, opened.test.images])
  assert {i.tobytes() for i in found} == {i.tobytes() for i in images}


def test_other_arrays_are_refused():
  images, labels = _arrays(9)
  with refusals.refused('train_images of the arrays', 'float64 [9, 5, 4, 3]'):
    data.keep_arrays((images / 255, labels))
  with refusals.refused('train_labels of the arrays', 'int64 [8]'):
    data.keep_arrays((images, labels[1:]))
  with refusals.refused('train_labels of the arrays', 'labels from 1 to 3'):
    data.keep_arrays((images, labels + 1))
  with refusals.refused('examples', 2, 'at least 3'):
    data.keep_arrays((images[:2], [0, 1]))
  with refusals.refused('dataset name', 'arrays:0', 'this process'):
    data.open_dataset('arrays:0')
