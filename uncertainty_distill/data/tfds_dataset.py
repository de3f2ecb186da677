"""Any image classification dataset of TFDS, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uncertainty_distill.data import channel_moments, tfds_splits
from uncertainty_distill.data.image_source import ArraySource, DatasetSpec
from uncertainty_distill.errors import InputError

import numpy as np

PREFIX = 'tfds:'
_TEST_NAMES = 'test', 'validation', 'val'
_BATCH = 256


class TfdsDataset:
  """A dataset that TFDS prepares, split by split.

  Images get the size of the dataset when they are read; gray ones get three
  equal channels. The examples are in the order of TFDS's files.

  Attributes:
    spec: What the images are.
  """

  def __init__(
    self,
    name: str,
    data_dir: str,
    image_size: Sequence[int] = (),
    fit: str = 'resize',
    splits: Sequence[str] = ('', ''),
  ):
    """Reads the training images, and downloads the dataset before if need be.

    Args:
      name: `tfds:` and the name that the dataset has in TFDS, with a
        configuration, if it has several: `tfds:NAME/CONFIG`.
      data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
      image_size: The height and width that all images get; () for those that
        they have, which must then be equal.
      fit: How they come to this size; see `image_decoding.decode_image`.
      splits: The splits to train on and to test on, as TFDS writes them:
        `train[:80%]`. Empty for `train`, and for `test`, or else `validation`.

    Raises:
      InputError: If the dataset is not there and cannot be downloaded, if it is
        no image classification dataset, or if it lacks a split or a size.
    """
    self._name, self._fit = name, fit
    self._builder = tfds_splits.prepare(name.removeprefix(PREFIX), data_dir)
    self._image, self._label = self._find_features()
    features = self._builder.info.features
    size = tuple(image_size) or features[self._image].shape[:2]
    if None in size:
      raise InputError(
        'task.train_data.image_size',
        (),
        f'a height and a width, since the images of {name} differ in size',
      )
    self._splits = {
      'train': splits[0] or 'train',
      'test': splits[1] or self._test_name(),
    }
    for field, split in self._splits.items():
      self._check_split(f'task.train_data.{field}_split', split)
    names = tuple(map(str, features[self._label].names))
    height, width = size
    spec = DatasetSpec(name, (height, width, 3), names, (), ())
    images, labels = self._read('train', spec.image_shape)
    counts = channel_moments.LevelCounts()
    for start in range(0, len(images), _BATCH):
      counts.add(images[start : start + _BATCH])
    mean, stddev = counts.moments()
    self.spec: DatasetSpec = DatasetSpec(
      name, spec.image_shape, names, mean, stddev
    )
    self._train = ArraySource(self.spec, images, labels)

  def split(self, name: str) -> ArraySource:
    """Returns the examples of `train` or `test`.

    Raises:
      InputError: If a file is damaged.
    """
    if name == 'train':
      return self._train
    return ArraySource(self.spec, *self._read(name, self.spec.image_shape))

  def _find_features(self) -> tuple[str, str]:
    """Returns the names of the image and of the label."""
    import tensorflow_datasets as tfds

    features = self._builder.info.features
    found = [
      [key for key, feature in features.items() if isinstance(feature, kind)]
      for kind in (tfds.features.Image, tfds.features.ClassLabel)
    ]
    keys = self._builder.info.supervised_keys or ()
    chosen = [[k for k in names if k in keys] or names for names in found]
    if [len(names) for names in chosen] != [1, 1]:
      raise InputError(
        'dataset name',
        self._name,
        'a dataset of TFDS with one image and one label an example',
        f'its features are {", ".join(features)}',
      )
    image, label = chosen[0][0], chosen[1][0]
    feature = features[image]
    if feature.np_dtype != np.uint8 or feature.shape[-1] not in (1, 3):
      raise InputError(
        'dataset name',
        self._name,
        'a dataset of gray or color images of 8 bits',
        f'its images are {np.dtype(feature.np_dtype).name} '
        f'{list(feature.shape)}',
      )
    return image, label

  def _test_name(self) -> str:
    found = [name for name in _TEST_NAMES if name in self._builder.info.splits]
    return found[0] if found else 'test'

  def _check_split(self, field: str, split: str) -> None:
    """Raises an InputError unless TFDS has a split, with examples."""
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
      "a part of one is 'train[80%:]'",
    )

  def _read(
    self, name: str, shape: tuple[int, ...]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns images uint8 [N, H, W, 3] and labels [N] of a split."""
    split = self._splits[name]
    count = self._builder.info.splits[split].num_examples
    images, labels = np.empty([count, *shape], np.uint8), np.empty(count, int)
    start = 0
    for batch in tfds_splits.batches(
      self._builder, split, self._prepared(shape), _BATCH
    ):
      rows = slice(start, start + len(batch[1]))
      images[rows], labels[rows] = batch
      start = rows.stop
    return images, labels

  def _prepared(self, shape: tuple[int, ...]) -> Any:
    """Returns a function from an example of TFDS to its image and label."""
    from uncertainty_distill.data.pictures import image_decoding

    import tensorflow as tf

    def prepared(example):
      image = example[self._image]
      if image.shape[-1] == 1:
        image = tf.image.grayscale_to_rgb(image)
      if image.shape[:2] != shape[:2]:
        image = image_decoding.fit_image(image, shape[:2], self._fit)
      return image, example[self._label]

    return prepared
