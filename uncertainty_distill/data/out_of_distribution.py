"""Test images whose classes a model does not know."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from uncertainty_distill import configs
from uncertainty_distill.data import (
  cifar,
  digits,
  npz_file,
  pictures,
  tfds_dataset,
  tfds_splits,
)
from uncertainty_distill.data.datasets import (
  Decoding,
  open_dataset,
  open_decoded,
)
from uncertainty_distill.data.image_source import (
  ArraySource,
  DatasetSpec,
  ImageSource,
)
from uncertainty_distill.io import files

import numpy as np

_SVHN = DatasetSpec(
  name='svhn_cropped',
  image_shape=(32, 32, 3),
  class_names=digits.SPEC.class_names,
  # Empty, because nothing is trained on this dataset.
  mean=(),
  stddev=(),
)


def check_prepared(name: str, data_dir: str = '') -> None:
  """Raises an InputError if a dataset would have to be downloaded.

  Args:
    name: The name of the dataset; see `open_out_of_distribution`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
  """
  if _is_from_tfds(name):
    tfds_splits.check_prepared(name.removeprefix(tfds_dataset.PREFIX), data_dir)


def prepared_folder(name: str, data_dir: str = '') -> str:
  """Returns the folder in which TFDS has prepared a dataset.

  Args:
    name: The name of the dataset; see `open_out_of_distribution`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.

  Returns:
    The folder; empty if the dataset is not prepared or not from TFDS.
  """
  if not _is_from_tfds(name):
    return ''
  name = name.removeprefix(tfds_dataset.PREFIX)
  return tfds_splits.prepared_folder(name, data_dir)


def _is_from_tfds(name: str) -> bool:
  return (
    name in cifar.SPECS
    or name == _SVHN.name
    or name.startswith(tfds_dataset.PREFIX)
  )


def open_out_of_distribution(
  name: str,
  data_dir: str = '',
  image_size: Sequence[int] = (),
  image_fit: str = 'resize',
  skip_broken: bool = False,
) -> ImageSource:
  """Returns the test examples of another dataset; nothing is downloaded.

  A dataset of TFDS or a folder of pictures that has no test set gives all that
  it has, since nothing is trained on it.

  Args:
    name: `cifar10`, `cifar100`, `svhn_cropped`, `digits`, `tfds:NAME`, or the
      path of an `.npz` file with `images` or `test_images`, or of a folder of
      pictures.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    image_size: The height and width of the result; see `open_dataset`.
    image_fit: How to bring pictures in files to this size.
    skip_broken: Whether to leave out a folder's pictures that cannot be read.

  Raises:
    InputError: If the dataset does not exist or TFDS has not prepared it.
  """
  check_prepared(name, data_dir)
  if name == _SVHN.name:
    images = _read_svhn(tfds_splits.folder(data_dir))
    return images.resized(image_size) if image_size else images
  path = files.expanded(name)
  if path.endswith('.npz') and files.is_file(path):
    images = _read_npz(path, str(files.version(path)))
    return images.resized(image_size) if image_size else images
  if configs.is_path(path) and files.is_folder(path):
    return _read_pictures(path, image_size, image_fit, skip_broken)
  if name.startswith(tfds_dataset.PREFIX):
    builder = tfds_splits.prepare(
      name.removeprefix(tfds_dataset.PREFIX), data_dir
    )
    split = tfds_dataset.test_split(builder) or 'train'
    return _open_unlabeled(
      name,
      (tfds_splits.folder(data_dir),),
      tuple(image_size),
      Decoding(image_fit, splits=(split, split)),
    )
  return open_dataset(name, data_dir, image_size=image_size).test


def _read_pictures(path, image_size, image_fit, skip_broken) -> ImageSource:
  """Returns the pictures in a folder, or in its folder `test` or `val`."""
  inside = [os.path.join(path, name) for name in pictures.TEST_NAMES]
  folder = next(filter(files.is_folder, inside), path)
  listing = pictures.list_unsorted(folder, 'evaluation.out_of_distribution')
  return _open_unlabeled(
    folder,
    (folder, listing.state()),
    tuple(image_size),
    Decoding(image_fit, skip_broken=skip_broken),
  )


# Decodes all images once, for the evaluation and for its fingerprint.
@functools.lru_cache(maxsize=1)
def _open_unlabeled(
  name: str,
  place: tuple[str, ...],
  image_size: tuple[int, ...],
  decoding: Decoding,
) -> ImageSource:
  """Opens the images of a folder or of TFDS, whatever their labels."""
  return open_decoded(name, place, image_size, decoding, False).split('train')


@functools.lru_cache(maxsize=1)
def _read_npz(path: str, version: str) -> ArraySource:
  """Reads `images` or `test_images` of a file in its present version."""
  del version  # Only distinguishes cached calls.
  images = npz_file.read_images(path, 'test', 'evaluation.out_of_distribution')
  shape = images.shape[1:]
  spec = DatasetSpec(path, shape, class_names=(), mean=(), stddev=())
  return ArraySource(spec, images, np.zeros(len(images), int))


@functools.lru_cache(maxsize=1)
def _read_svhn(data_dir: str) -> ImageSource:
  """Reads the test examples of SVHN."""
  arrays = tfds_splits.read_published(_SVHN.name, 'test', data_dir)
  return ArraySource(_SVHN, *arrays)
