"""Images without labels, on which a student learns from its teacher alone."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

from uncertainty_distill import configs
from uncertainty_distill.data import (
  npz_file,
  pictures,
  tfds_dataset,
)
from uncertainty_distill.data.datasets import (
  Dataset,
  Decoding,
  open_dataset,
  open_decoded,
)
from uncertainty_distill.data.image_source import (
  ArraySource,
  DatasetSpec,
  ImageSource,
  Subset,
)
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np

_NAME = 'task.train_data.unlabeled'
# Images to read at a time.
_CHUNK = 1000


def open_unlabeled(
  dataset: Dataset, train_data: configs.TrainDataConfig
) -> ImageSource | None:
  """Opens the images without labels that a configuration names.

  Args:
    dataset: The dataset of the configuration, whose image size the images get.
    train_data: The configuration that names the images.

  Returns:
    The images, with the label -1; None if the configuration names none. For
    `rest`, they are a subset of `dataset.train`.

  Raises:
    InputError: If the images cannot be read, if there are too few, or if they
      are smaller than the training images and are neither picture files nor
      from TFDS.
  """
  name = files.expanded(train_data.unlabeled)
  if not name:
    return None
  if name == configs.REST:
    return _rest(dataset, train_data)
  split = train_data.unlabeled_split or 'train'
  if name.startswith(tfds_dataset.PREFIX):
    state = ''
  elif configs.is_path(name) and files.is_folder(name):
    state = pictures.list_unsorted(name).state()
  else:
    state = str(files.version(name)) if files.is_file(name) else ''
  decoding = Decoding(
    train_data.image_fit,
    skip_broken=train_data.skip_broken,
    splits=(split, split),
    image_cache=files.expanded(train_data.image_cache),
  )
  source = _open(name, state, dataset.spec, train_data.data_dir, decoding)
  own = files.expanded(train_data.name)
  if files.is_within(name, own) or files.is_within(own, name):
    rows = _rows_that_are_not_tested(source, dataset.test)
    if not len(rows):
      raise InputError(
        _NAME, train_data.unlabeled, 'images that are not all test images'
      )
    if len(rows) < len(source):
      source = _without_labels(source, rows)
  _check_enough(train_data, len(source))
  return source.take(train_data.unlabeled_examples)


def _without_labels(source: ImageSource, rows: np.ndarray) -> Subset:
  """Returns some of the images, with the label -1."""
  return Subset(source, rows, np.full(len(rows), -1))


@functools.lru_cache(maxsize=2)
def _rows_that_are_not_tested(
  source: ImageSource, test: ImageSource
) -> np.ndarray:
  """Returns the rows of the images that are not among the test images.

  Files are compared by their content, and other images by their pixels.
  """
  found, tested = (s.row_digests(slice(None)) for s in (source, test))
  if found is None or tested is None:
    found, tested = _pixel_digests(source), _pixel_digests(test)
  known = set(tested.tolist())
  return np.flatnonzero([digest not in known for digest in found.tolist()])


def _pixel_digests(source: ImageSource) -> np.ndarray:
  """Returns the SHA-256 of each image, bytes [N]."""
  digests = [
    hashlib.sha256(image).digest()
    for start in range(0, len(source), _CHUNK)
    for image in source.numpy(slice(start, start + _CHUNK))
  ]
  return np.array(digests, 'V32')


def _check_enough(train_data: configs.TrainDataConfig, available: int) -> None:
  """Raises an InputError if there are fewer images than a run should use."""
  if train_data.unlabeled_examples > available:
    raise InputError(
      'task.train_data.unlabeled_examples',
      train_data.unlabeled_examples,
      f'at most the {available} images without labels, or 0 for all',
    )


def _rest(dataset: Dataset, train_data: configs.TrainDataConfig) -> Subset:
  """Returns the training examples that `num_examples` leaves out, unlabeled."""
  first, count = train_data.num_examples, dataset.num_train
  if first >= count:
    raise InputError(
      'task.train_data.num_examples',
      first,
      f'less than the {count} training examples with {_NAME}={configs.REST}, '
      'so that some are left',
    )
  _check_enough(train_data, count - first)
  rows = np.arange(first, train_data.num_shown(count))
  return _without_labels(dataset.train, rows)


# Reads files once, as for other datasets.
@functools.lru_cache(maxsize=2)
def _open(
  name: str, state: str, spec: DatasetSpec, data_dir: str, decoding: Decoding
) -> ImageSource:
  """Opens the images with a name, in the state that they have now."""
  size = spec.image_shape[:2]
  if name.startswith(tfds_dataset.PREFIX) or (
    configs.is_path(name) and files.is_folder(name)
  ):
    place = (data_dir, state)
    source = open_decoded(name, place, size, decoding, False).split('train')
  elif name.endswith('.npz') and files.is_file(name):
    images = npz_file.read_images(name, 'train', _NAME)
    shape = images.shape[1:]
    own = dataclasses.replace(spec, name=name, image_shape=shape)
    source = ArraySource(own, images, np.full(len(images), -1))
  elif not configs.is_path(name):
    source = open_dataset(name, data_dir).train
  else:
    raise InputError(
      _NAME,
      name,
      'rest, tfds:NAME, or the path of an .npz file or of a folder of pictures',
    )
  found = source.spec.image_shape
  if any(have < want for have, want in zip(found, size)):
    raise InputError(
      _NAME,
      name,
      f'images of at least {size[0]} x {size[1]} pixels, the size of the '
      f'training images; they have {found[0]} x {found[1]}',
    )
  if found != spec.image_shape:
    source = source.resized(size)
  rows = np.arange(len(source))
  return Subset(source, rows, np.full(len(rows), -1), spec)
