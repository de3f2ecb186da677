"""Tests of chosen classes, and of the images of all others."""

import os

from uncertainty_distill import data, errors

import numpy as np
import pytest


def test_chosen_classes_are_numbered_anew():
  whole = data.load_dataset('digits', 'test')
  chosen = data.load_dataset('digits', 'test', classes=(7, 2, 5))
  rows = np.flatnonzero(np.isin(whole.labels, [7, 2, 5]))
  np.testing.assert_array_equal(chosen.images, whole.images[rows])
  np.testing.assert_array_equal(
    np.array([7, 2, 5])[chosen.labels], whole.labels[rows]
  )
  assert chosen.labels.dtype == np.int32
  spec = data.dataset_spec('digits', (7, 2, 5))
  assert chosen.spec == spec and spec.num_classes == 3
  assert spec.num_test == len(rows)
  assert spec.num_train == len(
    data.load_dataset('digits', 'train', classes=(7, 2, 5)).labels
  )


def test_held_out_and_chosen_classes_make_the_whole():
  whole = data.load_dataset('digits', 'test')
  chosen = data.load_dataset('digits', 'test', classes=(0, 1, 2, 3, 4))
  others = data.load_held_out('digits', (0, 1, 2, 3, 4))
  assert set(others.labels) == {5, 6, 7, 8, 9}
  assert len(chosen.labels) + len(others.labels) == len(whole.labels)
  assert len(others.images) == len(others.labels)


@pytest.mark.parametrize('classes', [(3,), (3, 3), (3, 10), (-1, 3)])
def test_refuses_classes(classes):
  with pytest.raises(errors.InputError, match='train_data.classes'):
    data.load_dataset('digits', 'test', classes=classes)


@pytest.mark.parametrize('name', ['svhn_cropped', 'cifar100'])
def test_foreign_images_are_never_downloaded(tmp_path, name):
  with pytest.raises(errors.InputError, match='not prepared') as caught:
    data.load_foreign(name, str(tmp_path))
  assert f'tfds build {name}' in str(caught.value)
  assert not os.listdir(tmp_path)


def test_foreign_images_of_a_file(tmp_path):
  images = np.zeros([4, 8, 8, 3], np.uint8)
  path = str(tmp_path / 'a.npz')
  np.savez(
    path,
    train_images=images,
    train_labels=[0, 1, 0, 1],
    test_images=images[:3] + 9,
    test_labels=[1, 0, 1],
  )
  foreign = data.load_foreign(path)
  assert foreign.images.shape == (3, 8, 8, 3) and foreign.images.min() == 9
  with pytest.raises(errors.InputError, match='the path of an .npz'):
    data.load_foreign('cifar1000')
