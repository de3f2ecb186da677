"""Image classification datasets, whole, as uint8 arrays in memory.

The known ones are `cifar10` and `cifar100` (through TFDS) and `digits` (the
handwritten digits that scikit-learn ships). Any other name is the path of an
`.npz` file of the user's own, with the arrays `train_images`, `train_labels`,
`test_images`, `test_labels`: images uint8 [N, H, W, 3], labels integers [N]
from 0 to K - 1.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import zipfile

import numpy as np
from uncertainty_distill.data import tfds_splits
from uncertainty_distill.errors import InputError

_DIGITS_SIZE = 16
_DIGITS_TRAIN = 797
_NPZ_ARRAYS = ('train_images', 'train_labels', 'test_images', 'test_labels')


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
  """What is known of a dataset before its images are read.

  Attributes:
    name: `cifar10`, `cifar100`, `digits` or the path of an `.npz` file.
    image_shape: H, W, C.
    num_classes: K.
    num_train: Training examples.
    num_test: Test examples.
    mean: Of each channel of the training images, in 0..1.
    stddev: Likewise.
  """

  name: str
  image_shape: tuple[int, int, int]
  num_classes: int
  num_train: int
  num_test: int
  mean: tuple[float, ...]
  stddev: tuple[float, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
  """One split of a dataset.

  Attributes:
    spec: Of the whole dataset.
    images: uint8 [N, H, W, C].
    labels: int32 [N], in 0..K-1.
  """

  spec: DatasetSpec
  images: np.ndarray
  labels: np.ndarray

  def take(self, num_examples: int) -> ImageDataset:
    """Returns the first examples; all of them for 0.

    Raises:
      InputError: If there are fewer.
    """
    if not 0 <= num_examples <= len(self.labels):
      raise InputError(
          'num_examples', num_examples, f'0 (all) to {len(self.labels)}'
      )
    if not num_examples:
      return self
    return dataclasses.replace(
        self,
        images=self.images[:num_examples],
        labels=self.labels[:num_examples],
    )


_CIFAR = functools.partial(
    DatasetSpec,
    image_shape=(32, 32, 3),
    num_train=50_000,
    num_test=10_000,
    mean=(0.4914, 0.4822, 0.4465),
    stddev=(0.2470, 0.2435, 0.2616),
)
_SPECS = {
    'cifar10': _CIFAR('cifar10', num_classes=10),
    'cifar100': _CIFAR('cifar100', num_classes=100),
    'digits': DatasetSpec(
        name='digits',
        image_shape=(_DIGITS_SIZE, _DIGITS_SIZE, 3),
        num_classes=10,
        num_train=_DIGITS_TRAIN,
        num_test=1797 - _DIGITS_TRAIN,
        mean=(0.3054,) * 3,
        stddev=(0.3175,) * 3,
    ),
}


def dataset_spec(name: str) -> DatasetSpec:
  """Returns what is known of a dataset, without reading its images.

  Raises:
    InputError: If there is no such dataset, or the file is not as described.
  """
  if name in _SPECS:
    return _SPECS[name]
  return _npz_spec(name)


@functools.lru_cache(maxsize=4)
def load_dataset(name: str, split: str, data_dir: str = '') -> ImageDataset:
  """Reads one split of a dataset into memory, once in a process.

  Args:
    name: Of the dataset; see the module.
    split: `train` or `test`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice, which
      is the environment variable TFDS_DATA_DIR or ~/tensorflow_datasets.

  Raises:
    InputError: If the dataset is not there and cannot be downloaded, or if it
      is not as described.
  """
  spec = dataset_spec(name)
  if name == 'digits':
    images, labels = _read_digits(split)
  elif name in _SPECS:
    images, labels = tfds_splits.read_published(name, split, data_dir)
  else:
    with np.load(name, allow_pickle=False) as arrays:
      images, labels = arrays[f'{split}_images'], arrays[f'{split}_labels']
  for array in (images, labels := np.asarray(labels, np.int32)):
    array.flags.writeable = False
  return ImageDataset(spec, images, labels)


def _read_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
  """Reads 8x8 digits of 17 grey levels as 16x16 colour images."""
  # Imported here: both are slow to import, and CIFAR needs neither.
  import cv2  # pylint: disable=g-import-not-at-top
  import sklearn.datasets  # pylint: disable=g-import-not-at-top

  digits = sklearn.datasets.load_digits()
  # The file is sorted by writer and digit, so it is shuffled before the split.
  order = np.random.RandomState(0).permutation(len(digits.target))
  chosen = order[:_DIGITS_TRAIN] if split == 'train' else order[_DIGITS_TRAIN:]
  size = (_DIGITS_SIZE, _DIGITS_SIZE)
  grey = np.stack([
      cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
      for image in digits.images[chosen] * (255 / 16)
  ])
  images = np.repeat(np.round(grey).astype(np.uint8)[..., None], 3, axis=-1)
  return images, digits.target[chosen]


def _npz_spec(path: str) -> DatasetSpec:
  """Describes a file of the user's own, after checking it."""
  wants = 'cifar10, cifar100, digits or the path of an .npz file'
  if not path.endswith('.npz') or not os.path.isfile(path):
    raise InputError('dataset name', path, wants)
  try:
    with np.load(path, allow_pickle=False) as arrays:
      train_images, train_labels, test_images, test_labels = (
          arrays[name] for name in _NPZ_ARRAYS
      )
  except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
    raise InputError(
        'dataset name', path, f'an .npz file with {", ".join(_NPZ_ARRAYS)}',
        f'write it by numpy.savez ({error})'
    ) from error
  _check_split(path, 'train', train_images, train_labels, train_images.shape)
  _check_split(path, 'test', test_images, test_labels, train_images.shape)
  scaled = train_images.reshape(-1, train_images.shape[-1]) / 255
  return DatasetSpec(
      name=path,
      image_shape=train_images.shape[1:],
      num_classes=int(max(train_labels.max(), test_labels.max())) + 1,
      num_train=len(train_labels),
      num_test=len(test_labels),
      mean=tuple(round(float(x), 4) for x in scaled.mean(0)),
      stddev=tuple(round(max(float(x), 1e-3), 4) for x in scaled.std(0)),
  )


def _check_split(path, split, images, labels, train_shape):
  """Raises an InputError unless the arrays of a split are as described."""
  if (
      images.dtype != np.uint8
      or images.ndim != 4
      or images.shape[-1] != 3
      or images.shape[1:] != train_shape[1:]
      or not len(images)
  ):
    raise InputError(
        f'{split}_images of {path}',
        f'{images.dtype} {list(images.shape)}',
        'uint8 [N, H, W, 3], of one size for training and test',
    )
  if (
      labels.shape != images.shape[:1]
      or not np.issubdtype(labels.dtype, np.integer)
      or labels.min() < 0
  ):
    raise InputError(
        f'{split}_labels of {path}',
        f'{labels.dtype} {list(labels.shape)}',
        f'integers from 0 on, [{len(images)}]',
    )
