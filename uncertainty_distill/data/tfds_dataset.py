"""Any image classification dataset of TFDS."""

from __future__ import annotations

import functools
import math
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from uncertainty_distill.data import channel_moments, tfds_splits
from uncertainty_distill.data.image_source import ArraySource, DatasetSpec
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np

PREFIX = 'tfds:'
_TEST_NAMES = 'test', 'validation', 'val'
_BATCH = 256


def test_split(builder: Any) -> str:
  """Returns the split to test on of TFDS's builder of a dataset, '' if none."""
  found = (name for name in _TEST_NAMES if name in builder.info.splits)
  return next(found, '')


class TfdsDataset:
  """A dataset that TFDS prepares, split by split.

  Images are brought to the size of the dataset when they are read. Gray images
  get three equal channels. The examples are in the order of TFDS's files.
  """

  def __init__(
    self,
    name: str,
    data_dir: str,
    image_size: Sequence[int] = (),
    fit: str = 'resize',
    splits: Sequence[str] = ('', ''),
    scratch: str = '',
    labeled: bool = True,
  ):
    """Finds the dataset, and downloads it if needed.

    Args:
      name: `tfds:` and the name that the dataset has in TFDS, with a
        configuration if the dataset has several: `tfds:NAME/CONFIG`.
      data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
      image_size: The height and width of the result; () to keep the sizes of
        the images, which must then be equal.
      fit: How to bring images to this size; see `image_decoding.decode_image`.
      splits: The splits to train on and to test on, in the notation of TFDS,
        such as `train[:80%]`. Empty for `train`, and for the first of `test`,
        `validation` and `val` that the dataset has.
      scratch: A folder on disk for a temporary file that holds the images until
        the process ends; empty to hold them in memory.
      labeled: Whether the examples must have labels; without labels they get
        the label -1.

    Raises:
      InputError: If the dataset is missing and cannot be downloaded, if it is
        not an image classification dataset, if it lacks a split, or if its
        images differ in size and no size is given.
    """
    self._name, self._fit, self._scratch = name, fit, scratch
    self._builder = tfds_splits.prepare(name.removeprefix(PREFIX), data_dir)
    self._image, self._label = self._find_features(labeled)
    features = self._builder.info.features
    size = tuple(image_size) or features[self._image].shape[:2]
    if None in size:
      raise InputError(
        'task.train_data.image_size',
        (),
        f'a height and a width, because the images of {name} differ in size',
      )
    self._splits = {
      'train': splits[0] or 'train',
      'test': splits[1] or test_split(self._builder) or 'test',
    }
    for field, split in self._splits.items():
      option = f'{field}_split' if labeled else 'unlabeled_split'
      self._check_split(f'task.train_data.{option}', split)
    if labeled and tfds_splits.overlap(self._builder, *self._splits.values()):
      raise InputError(
        'task.train_data.test_split',
        self._splits['test'],
        f'a split without examples of {self._splits["train"]}, the training '
        'split',
        'set both, such as train[:80%] and train[80%:]',
      )
    height, width = size
    self._shape: tuple[int, int, int] = height, width, 3

  @functools.cached_property
  def _train(self) -> ArraySource:
    """The training examples, with the moments of their channels."""
    images, labels = self._read('train')
    counts = channel_moments.LevelCounts()
    for start in range(0, len(images), _BATCH):
      counts.add(images[start : start + _BATCH])
    names = (
      self._builder.info.features[self._label].names if self._label else ()
    )
    spec = DatasetSpec(
      self._name, self._shape, tuple(map(str, names)), *counts.moments()
    )
    return ArraySource(spec, images, labels)

  @property
  def spec(self) -> DatasetSpec:
    """The description of the images and labels.

    Raises:
      InputError: If a file is damaged.
    """
    return self._train.spec

  def state(self) -> str:
    """Returns a text that identifies these splits and the files' state."""
    info = self._builder.info
    paths = [path for split in info.splits.values() for path in split.filepaths]
    versions = [(os.path.basename(p), files.version(p)) for p in paths]
    return repr((info.full_name, self._splits, versions))

  def split(self, name: str) -> ArraySource:
    """Returns the examples of `train` or `test`.

    Raises:
      InputError: If a file is damaged.
    """
    if name == 'train':
      return self._train
    return ArraySource(self.spec, *self._read(name))

  def _find_features(self, labeled: bool) -> tuple[str, str]:
    """Returns the names of the image and, if there is one, of the label."""
    import tensorflow_datasets as tfds

    features = self._builder.info.features
    found = [
      [key for key, feature in features.items() if isinstance(feature, kind)]
      for kind in (tfds.features.Image, tfds.features.ClassLabel)
    ]
    keys = self._builder.info.supervised_keys or ()
    chosen = [[k for k in names if k in keys] or names for names in found]
    if not labeled:
      chosen[1] = ['']
    if [len(names) for names in chosen] != [1, 1]:
      raise InputError(
        'dataset name',
        self._name,
        'a dataset of TFDS with one image '
        f'{"and one label " if labeled else ""}per example',
        f'its features are {", ".join(features)}',
      )
    image, label = chosen[0][0], chosen[1][0]
    feature = features[image]
    if feature.np_dtype != np.uint8 or feature.shape[-1] not in (1, 3):
      raise InputError(
        'dataset name',
        self._name,
        'a dataset of 8-bit gray or color images',
        f'its images are {np.dtype(feature.np_dtype).name} '
        f'{list(feature.shape)}',
      )
    return image, label

  def _check_split(self, field: str, split: str) -> None:
    """Raises an InputError unless TFDS has a split and it has examples."""
    try:
      if self._builder.info.splits[split].num_examples:
        return
    except (KeyError, ValueError):
      pass
    names = ', '.join(self._builder.info.splits)
    raise InputError(
      field,
      split,
      f'a split of {self._name}, which has {names}',
      "for parts of a split, set both splits: 'train[:80%]' and 'train[80%:]'",
    )

  def _read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns images uint8 [N, H, W, 3] and labels [N] of a split."""
    split = self._splits[name]
    count = self._builder.info.splits[split].num_examples
    images, labels = self._allocate(count), np.empty(count, int)
    start = 0
    for batch in tfds_splits.batches(
      self._builder, split, self._prepare, _BATCH
    ):
      rows = slice(start, start + len(batch[1]))
      images[rows], labels[rows] = batch
      start = rows.stop
    if self._label and labels.min() < 0:
      raise InputError(
        f'task.train_data.{name}_split',
        split,
        f'a split whose examples have labels, out of '
        f'{", ".join(self._builder.info.splits)}',
        f'{(labels < 0).sum()} of its {count} examples have none',
      )
    return images, labels

  def _allocate(self, count: int) -> np.ndarray:
    """Returns an array for images, uint8 [count, H, W, 3].

    Raises:
      InputError: If the array is to be in memory and does not fit there.
      OSError: If the array is to be on a disk that is full.
    """
    shape = count, *self._shape
    if self._scratch:
      with tempfile.TemporaryFile(dir=self._scratch) as file:
        # Otherwise a full disk would kill the process while it writes.
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        return np.memmap(file, np.uint8, 'r+', shape=shape)
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    # TensorFlow holds a second copy.
    needed = 2 * math.prod(shape)
    if needed > memory:
      raise InputError(
        'task.train_data.image_cache',
        '',
        'a folder on disk for images that do not fit into memory',
        message=f'The images of {self._name} take {needed / 1e9:.1f} GB, but '
        f'this machine has {memory / 1e9:.1f} GB of memory. Set '
        '`task.train_data.image_cache` to a folder on disk to read the images '
        'from there',
      )
    return np.empty(shape, np.uint8)

  def _prepare(self, example: Any) -> tuple[Any, Any]:
    """Returns the image and the label of an example of TFDS."""
    from uncertainty_distill.data.pictures import image_decoding

    import tensorflow as tf

    image, size = example[self._image], self._shape[:2]
    if image.shape[-1] == 1:
      image = tf.image.grayscale_to_rgb(image)
    if image.shape[:2] != size:
      image = image_decoding.fit_image(image, size, self._fit)
    return image, example[self._label] if self._label else -1
