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

from uncertainty_distill.data import digits, tfds_splits
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives, files

import numpy as np

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
    image_shape=(digits.SIZE, digits.SIZE, 3),
    num_classes=10,
    num_train=digits.NUM_TRAIN,
    num_test=digits.NUM_TEST,
    mean=(0.3054,) * 3,
    stddev=(0.3175,) * 3,
  ),
}


def dataset_spec(
  name: str, classes: tuple[int, ...] = (), data_dir: str = ''
) -> DatasetSpec:
  """Returns what is known of a dataset, without reading its images.

  Args:
    name: Of the dataset; see the module.
    classes: As for `load_dataset`. With some, the labels have to be read; mean
      and standard deviation stay those of all classes.
    data_dir: As for `load_dataset`.

  Raises:
    InputError: If there is no such dataset or class, or the file is not as
      described.
  """
  spec = _SPECS[name] if name in _SPECS else _npz_spec(name)
  if not classes:
    return spec
  _check_classes(classes, spec.num_classes)
  num_train, num_test = (
    int(np.isin(load_dataset(name, split, data_dir).labels, classes).sum())
    for split in ('train', 'test')
  )
  return dataclasses.replace(
    spec, num_classes=len(classes), num_train=num_train, num_test=num_test
  )


@functools.lru_cache(maxsize=4)
def load_dataset(
  name: str, split: str, data_dir: str = '', classes: tuple[int, ...] = ()
) -> ImageDataset:
  """Reads one split of a dataset into memory, once in a process.

  Args:
    name: Of the dataset; see the module.
    split: `train` or `test`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice, which
      is the environment variable TFDS_DATA_DIR or ~/tensorflow_datasets.
    classes: The classes to keep, whose labels become 0, 1, ... in the order
      given; () for all.

  Raises:
    InputError: If the dataset is not there and cannot be downloaded, or if it
      is not as described.
  """
  spec = dataset_spec(name, classes, data_dir)
  if classes:
    whole = load_dataset(name, split, data_dir)
    chosen = np.isin(whole.labels, classes)
    images = whole.images[chosen]
    renumbered = np.full(max(classes) + 1, -1)
    renumbered[list(classes)] = np.arange(len(classes))
    labels = renumbered[whole.labels[chosen]]
  elif name == 'digits':
    images, labels = digits.read(split)
  elif name in _SPECS:
    images, labels = tfds_splits.read_published(name, split, data_dir)
  else:
    arrays = archives.read_arrays(name)
    images, labels = arrays[f'{split}_images'], arrays[f'{split}_labels']
  for array in (images, labels := np.asarray(labels, np.int32)):
    array.flags.writeable = False
  return ImageDataset(spec, images, labels)


def _npz_spec(path: str) -> DatasetSpec:
  """Describes a file of the user's own, after checking it."""
  wants = 'cifar10, cifar100, digits or the path of an .npz file'
  if not path.endswith('.npz') or not files.is_file(path):
    raise InputError('dataset name', path, wants)
  try:
    arrays = archives.read_arrays(path)
  except (OSError, ValueError) as error:
    raise InputError(
      'dataset name',
      path,
      f'an .npz file with {", ".join(_NPZ_ARRAYS)}',
      f'write it by numpy.savez ({archives.why(error)})',
    ) from error
  missing = [name for name in _NPZ_ARRAYS if name not in arrays]
  if missing:
    raise InputError(
      'dataset name',
      path,
      f'an .npz file with {", ".join(_NPZ_ARRAYS)}',
      f'it lacks {", ".join(missing)}',
    )
  train_images, train_labels, test_images, test_labels = (
    arrays[name] for name in _NPZ_ARRAYS
  )
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


def _check_classes(classes, num_classes):
  """Raises an InputError unless these are some of the classes."""
  if (
    len(set(classes)) != len(classes)
    or len(classes) < 2
    or not set(classes) <= set(range(num_classes))
  ):
    raise InputError(
      'task.train_data.classes',
      classes,
      f'at least 2 distinct classes of 0 to {num_classes - 1}, or () for all',
    )
