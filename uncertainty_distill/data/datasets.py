"""Image classification datasets, each opened once per process.

The known datasets are `cifar10` and `cifar100` (through TFDS) and `digits` (the
handwritten digits that scikit-learn ships). `tfds:NAME` is any other dataset of
TFDS, see `tfds_dataset`. Arrays that Python code passed in also have a name,
see `given_arrays`. Any other name is the path of the user's own data: an `.npz`
file, see `npz_file`, or a folder of pictures, see `pictures.class_folders`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from uncertainty_distill import ranges
from uncertainty_distill.data import (
  cifar,
  digits,
  given_arrays,
  npz_file,
  pictures,
  tfds_dataset,
  tfds_splits,
)
from uncertainty_distill.data import image_cache as image_cache_lib
from uncertainty_distill.data.image_source import (
  ArraySource,
  DatasetSpec,
  ImageSource,
  Subset,
)
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np

# Processes that only corrupt images work without Model Garden.
if TYPE_CHECKING:
  from uncertainty_distill import configs

# Maps names to specifications, numbers of training examples, and functions that
# map `train` or `test` and the folder of TFDS to images and labels.
_KNOWN: dict[str, tuple[DatasetSpec, int, Callable]] = {
  'digits': (digits.SPEC, digits.NUM_TRAIN, lambda split, _: digits.read(split))
} | {
  name: (
    spec,
    cifar.NUM_TRAIN,
    functools.partial(tfds_splits.read_published, name),
  )
  for name, spec in cifar.SPECS.items()
}


# The kinds of datasets whose images are decoded.
_DECODED = 'folder', 'tfds'
_NO_FOLDER = 'unless the dataset is a folder'
_NO_TFDS = 'unless the dataset is tfds:NAME'


class Dataset:
  """A dataset that reads its images when they are first asked for.

  Attributes:
    spec: The description of its images and labels.
  """

  def __init__(
    self,
    spec: DatasetSpec,
    read: Callable[[str], ImageSource],
    num_train: int = 0,
  ):
    """Stores what is known before the images are read.

    Args:
      spec: The description of the images and labels.
      read: A function from `train` or `test` to the examples of the split.
      num_train: The number of training examples; 0 to find it out by reading
        them.
    """
    self.spec = spec
    self._read = read
    self._num_train = num_train

  @functools.cached_property
  def train(self) -> ImageSource:
    """The training examples.

    Raises:
      InputError: If they cannot be read.
    """
    return self._read('train')

  @functools.cached_property
  def test(self) -> ImageSource:
    """The test examples.

    Raises:
      InputError: If they cannot be read.
    """
    return self._read('test')

  @property
  def num_train(self) -> int:
    """The number of training examples."""
    return self._num_train or len(self.train)

  def of_classes(self, classes: Sequence[int]) -> Dataset:
    """Returns the examples of some classes.

    The mean and the standard deviation are still those of all classes.

    Args:
      classes: At least two distinct labels. They become 0, 1, ... in this
        order.

    Raises:
      InputError: If the classes are not as described.
    """
    num_classes = self.spec.num_classes
    if (
      len(set(classes)) != len(classes)
      or len(classes) < 2
      or not set(classes) <= set(range(num_classes))
    ):
      raise InputError(
        'task.train_data.classes',
        classes,
        f'at least 2 distinct classes from 0 to {num_classes - 1}, or () for '
        'all',
      )
    return Dataset(
      self.spec.of_classes(classes),
      lambda split: getattr(self, split).of_classes(classes),
    )

  def test_from_training(self, num_examples: int) -> Dataset:
    """Returns a dataset whose test examples were among the training examples.

    Args:
      num_examples: How many of the last training examples become the test
        examples. The others remain training examples.

    Raises:
      InputError: If no example would be left to train on.
    """
    num_train = self.num_train - num_examples
    if num_train < 1:
      raise InputError(
        'task.train_data.test_from_training',
        num_examples,
        f'less than the {self.num_train} training examples, or 0',
      )
    rows = {
      'train': np.arange(num_train),
      'test': np.arange(num_train, self.num_train),
    }
    return Dataset(
      self.spec, lambda split: Subset(self.train, rows[split]), num_train
    )

  def of_size(self, image_size: Sequence[int]) -> Dataset:
    """Returns a dataset of the same images, made smaller in memory.

    The mean and the standard deviation are still those of the original images.

    Args:
      image_size: The new height and width.

    Raises:
      InputError: If the height or the width is less than 1 or more than that
        of the images.
    """
    return Dataset(
      self.spec.of_size(image_size),
      lambda split: getattr(self, split).resized(image_size),
      self._num_train,
    )


@dataclasses.dataclass(frozen=True)
class Decoding:
  """How the pictures of a folder, or the images of TFDS, become arrays.

  Attributes:
    image_fit: How to bring images to the requested size; see
      `image_decoding.decode_image`.
    test_fraction: The share of each class of a folder that becomes the test
      set, if the folder has no test set.
    skip_broken: Whether to leave out a folder's pictures that cannot be read.
    splits: The splits of a TFDS dataset to train on and to test on; see
      `tfds_dataset.TfdsDataset`.
    image_cache: A folder on disk for the decoded images, see
      `image_cache.CachedDataset`; empty for none.
  """

  image_fit: str = 'resize'
  test_fraction: float = 0.0
  skip_broken: bool = False
  splits: tuple[str, str] = ('', '')
  image_cache: str = ''

  def check(self, kind: str) -> None:
    """Raises an InputError for options that a kind of dataset does not have."""
    if kind in _DECODED:
      ranges.one_of(*ranges.IMAGE_FITS).check('image_fit', self.image_fit)
    decoded = 'unless the dataset is a folder or tfds:NAME'
    for field, value, kinds, expected in (
      ('test_fraction', self.test_fraction, ['folder'], f'0 {_NO_FOLDER}'),
      ('skip_broken', self.skip_broken, ['folder'], f'false {_NO_FOLDER}'),
      ('train_split', self.splits[0], ['tfds'], f'empty {_NO_TFDS}'),
      ('test_split', self.splits[1], ['tfds'], f'empty {_NO_TFDS}'),
      ('image_cache', self.image_cache, _DECODED, f'empty {decoded}'),
    ):
      if value and kind not in kinds:
        raise InputError(f'task.train_data.{field}', value, expected)


def open_dataset(
  name: str,
  data_dir: str = '',
  classes: Sequence[int] = (),
  image_size: Sequence[int] = (),
  test_from_training: int = 0,
  decoding: Decoding = Decoding(),
) -> Dataset:
  """Opens a dataset.

  A process reads a dataset once: the same arguments give the same object as
  long as the dataset's files, if any, keep their sizes and modification times.

  Args:
    name: `cifar10`, `cifar100`, `digits`, `tfds:NAME`, or the path of an `.npz`
      file or of a folder of pictures; see the module.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice, which
      is the environment variable TFDS_DATA_DIR or ~/tensorflow_datasets.
    classes: The classes to keep, whose labels become 0, 1, ... in the order
      given; () for all.
    image_size: The height and width of the images. Arrays are averaged down to
      this size, and other images get it as `decoding` says. () leaves all
      images as they are.
    test_from_training: How many of the last training examples replace the test
      examples; 0 for none.
    decoding: How to turn images that are not arrays into arrays.

  Raises:
    InputError: If the dataset or a class does not exist, if arrays are smaller
      than the size, if the data are not as described, or if no training example
      would be left. The images of CIFAR are read at their first use, and only
      then is it an error if they are missing.
  """
  name = files.expanded(name)
  if image_size and (len(image_size) != 2 or min(image_size) < 1):
    raise InputError(
      'image_size', tuple(image_size), 'a height and a width, both at least 1'
    )
  ranges.BELOW_1.check('test_fraction', decoding.test_fraction)
  cache = files.expanded(decoding.image_cache)
  decoding = dataclasses.replace(
    decoding, image_cache=files.absolute(cache) if cache else ''
  )
  kind, place = _find(name, data_dir, decoding.test_fraction)
  decoding.check(kind)
  return _open(
    name,
    place,
    tuple(classes),
    tuple(image_size),
    test_from_training,
    decoding if kind in _DECODED else None,
  )


def _find(
  name: str, data_dir: str, test_fraction: float
) -> tuple[str, tuple[str | int, ...]]:
  """Returns the kind of a dataset, and its location and state.

  Raises:
    InputError: If there is no such dataset.
  """
  if name in _KNOWN:
    return 'known', (tfds_splits.folder(data_dir),)
  if name in given_arrays.KEPT:
    return 'arrays', ()
  if name.startswith(given_arrays.PREFIX):
    raise InputError(
      'dataset name',
      name,
      'arrays that were given to this process',
      'give `ud.train` or `ud.distill` the same arrays again',
    )
  if name.startswith(tfds_dataset.PREFIX):
    return 'tfds', (tfds_splits.folder(data_dir),)
  if name.endswith('.npz') and files.is_file(name):
    return 'npz', (files.absolute(name), *files.version(name))
  if name.endswith('.npz'):
    state = 'is a folder' if files.exists(name) else 'does not exist'
    raise InputError(
      'dataset name',
      name,
      'an .npz file that exists',
      message=f'the dataset {name} {state}',
    )
  if files.is_folder(name):
    state = pictures.list_pictures(name, test_fraction).state()
    return 'folder', (files.absolute(name), state)
  raise InputError(
    'dataset name',
    name,
    f'{", ".join(ranges.DATASETS)}, tfds:NAME, or the path of an .npz file or '
    'of a folder of pictures',
  )


# One dataset may take four entries, which share its images.
@functools.lru_cache(maxsize=8)
def _open(
  name: str,
  place: tuple[str | int, ...],
  classes: tuple[int, ...],
  image_size: tuple[int, ...],
  test_from_training: int,
  decoding: Decoding | None,
) -> Dataset:
  """Opens the dataset at a location, in the state that it has there.

  Args:
    name: The name of the dataset.
    place: The dataset's location, and what distinguishes its state from others.
    classes: See `open_dataset`.
    image_size: See `open_dataset`.
    test_from_training: See `open_dataset`.
    decoding: How to decode the images; None if they are arrays.
  """
  if test_from_training:
    whole = _open(name, place, classes, image_size, 0, decoding)
    return whole.test_from_training(test_from_training)
  if classes:
    whole = _open(name, place, (), image_size, 0, decoding)
    return whole.of_classes(classes)
  if decoding is not None:
    opened = open_decoded(name, place, image_size, decoding)
    return Dataset(opened.spec, opened.split)
  if image_size:
    return _open(name, place, (), (), 0, None).of_size(image_size)
  if name in given_arrays.KEPT:
    sources = given_arrays.KEPT[name]
    train = sources['train']
    return Dataset(train.spec, sources.__getitem__, len(train))
  if name in _KNOWN:
    spec, num_train, read = _KNOWN[name]
    return Dataset(
      spec,
      lambda split: ArraySource(spec, *read(split, *place)),
      num_train,  # pyright: ignore[reportArgumentType]
    )
  spec, arrays = npz_file.read(name)
  return Dataset(
    spec,
    lambda split: ArraySource(
      spec, arrays[f'{split}_images'], arrays[f'{split}_labels']
    ),
  )


def open_decoded(
  name: str,
  place: tuple[str | int, ...],
  image_size: tuple[int, ...],
  decoding: Decoding,
  labeled: bool = True,
) -> image_cache_lib.SplitReader:
  """Opens a folder of pictures or a dataset of TFDS.

  Args:
    name: The name of the dataset.
    place: For TFDS, the folder where it keeps its datasets. For a folder of
      pictures, its location and its state.
    image_size: See `open_dataset`.
    decoding: How to decode images.
    labeled: Whether the pictures are in one folder for each class.

  Raises:
    InputError: See `open_dataset`.
  """
  fit, cache = decoding.image_fit, decoding.image_cache
  opener: Callable[[], image_cache_lib.SplitReader]
  if name.startswith(tfds_dataset.PREFIX):
    opener = functools.partial(
      tfds_dataset.TfdsDataset,
      name,
      str(place[0]),
      image_size,
      fit,
      decoding.splits,
      cache,
      labeled,
    )
    # The state of remote files takes many calls, and only a cache notes it.
    state = opener().state() if cache else ''
  else:
    if labeled:
      listing = pictures.list_pictures(name, decoding.test_fraction)
    else:
      listing = pictures.list_unsorted(name)
    state = place[1]
    opener = functools.partial(
      pictures.PictureFolder,
      listing,
      name,
      image_size,
      fit,
      decoding.skip_broken,
    )
  if not cache:
    return opener()
  made_from = {
    'state': state,
    'image_size': image_size,
    'image_fit': fit,
    'skip_broken': decoding.skip_broken,
    **({} if labeled else {'labels': False}),
  }
  return image_cache_lib.CachedDataset(cache, made_from, name, opener)


def open_configured(train_data: configs.TrainDataConfig) -> Dataset:
  """Opens the dataset of a configuration; see `open_dataset`."""
  skip_broken, image_cache = train_data.skip_broken, train_data.image_cache
  name = files.expanded(train_data.name)
  is_tfds = name.startswith(tfds_dataset.PREFIX)
  is_path = name not in _KNOWN and not is_tfds and files.exists(name)
  if is_path:
    # As in a resolved configuration: another name would be read once more.
    name = files.absolute(name)
  if not (is_path and files.is_folder(name)):
    # These two options may be for images without labels, or of other classes.
    skip_broken = False
    image_cache = image_cache if is_tfds else ''
  return open_dataset(
    name,
    train_data.data_dir,
    train_data.classes,
    train_data.image_size,
    train_data.test_from_training,
    Decoding(
      train_data.image_fit,
      train_data.test_fraction,
      skip_broken,
      (train_data.train_split, train_data.test_split),
      image_cache,
    ),
  )


def open_training(
  dataset: Dataset, train_data: configs.TrainDataConfig
) -> tuple[Subset, Subset]:
  """Divides the training examples of a dataset as a configuration says.

  Args:
    dataset: The dataset of the configuration.
    train_data: The configuration, which says how many examples to use and how
      many of them to hold out.

  Returns:
    The examples to train on and the held-out examples. The row numbers of both
    refer to `dataset.train`.

  Raises:
    InputError: If the examples cannot be read, or if there are fewer than the
      configuration asks for.
  """
  whole = dataset.train
  used = whole.take(train_data.num_examples)
  parts = used.hold_out(train_data.num_held_out(len(whole)))
  return tuple(Subset(whole, part.rows) for part in parts)  # pyright: ignore[reportReturnType]
