"""Tests of out-of-distribution images: of other datasets, other classes."""

import os

from uncertainty_distill import configs, data, ranges
from uncertainty_distill.data import datasets

import numpy as np
import pytest
import refusals
from PIL import Image


@pytest.mark.parametrize('name', ['svhn_cropped', 'cifar100'])
def test_nothing_is_downloaded(tmp_path, name):
  with refusals.refused('data_dir', str(tmp_path), name) as caught:
    data.open_out_of_distribution(name, str(tmp_path))
  assert f'tfds build {name}' in caught.value.hint
  assert not os.listdir(tmp_path)


def test_test_images_of_a_file(tmp_path):
  images = np.zeros([4, 8, 8, 3], np.uint8)
  path = str(tmp_path / 'a.npz')
  np.savez(
    path,
    train_images=images,
    train_labels=[0, 1, 0, 1],
    test_images=images[:3] + 9,
    test_labels=[1, 0, 1],
  )
  source = data.open_out_of_distribution(path)
  assert source.images.shape == (3, 8, 8, 3) and source.images.min() == 9
  np.savez(path, images=images[:, :6] + 7)
  source = data.open_out_of_distribution(path, image_size=(3, 4))
  assert source.images.shape == (4, 3, 4, 3) and source.images.min() == 7
  np.savez(path, images=images + 0.5)
  with refusals.refused(f'images of {path}'):
    data.open_out_of_distribution(path)
  np.savez(path, pictures=images)
  with refusals.refused('evaluation.out_of_distribution', path):
    data.open_out_of_distribution(path)
  with refusals.refused('dataset name', 'cifar1000'):
    data.open_out_of_distribution('cifar1000')


def test_pictures_of_a_folder(tmp_path):
  rng = np.random.default_rng(0)
  for name in 'a/1', 'a/2', 'b/1':
    path = tmp_path / 'train' / f'{name}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)
  assert len(data.open_out_of_distribution(str(tmp_path))) == 3
  (tmp_path / 'test').mkdir()
  with refusals.refused('evaluation.out_of_distribution'):
    data.open_out_of_distribution(str(tmp_path))
  (tmp_path / 'test' / '1.png').write_bytes(path.read_bytes())
  source = data.open_out_of_distribution(str(tmp_path))
  np.testing.assert_array_equal(source.images, [pixels])
  (tmp_path / 'test' / '2.png').write_bytes(b'broken')
  with refusals.refused('dataset name'):
    data.open_out_of_distribution(str(tmp_path))
  assert (
    len(data.open_out_of_distribution(str(tmp_path), skip_broken=True)) == 1
  )


def test_names_that_need_no_path_are_in_one_table():
  assert set(datasets._KNOWN) == set(ranges.DATASETS)
  assert not any(map(configs.is_path, ['', 'svhn_cropped', *ranges.DATASETS]))
  assert configs.is_path('digits.npz')
