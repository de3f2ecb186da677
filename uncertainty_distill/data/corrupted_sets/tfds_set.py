"""The published CIFAR-10-C as TFDS prepares it, `cifar10_corrupted`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

from uncertainty_distill.data import corruptions, tfds_splits
from uncertainty_distill.data.corrupted_sets import base
from uncertainty_distill.data.image_source import ImageDataset
from uncertainty_distill.errors import InputError

import numpy as np

_NAME = 'cifar10_corrupted'
# Where TFDS has another name than the published file.
_TFDS_NAMES = {
  corruptions.Corruption.GLASS_BLUR: 'frosted_glass_blur',
  corruptions.Corruption.ELASTIC_TRANSFORM: 'elastic',
}


class TfdsSet(base.CorruptedSet):
  """Corrupted images of CIFAR-10 that TFDS has prepared before."""

  def __init__(
    self,
    dataset: ImageDataset,
    shifts: Iterable[corruptions.Shift],
    data_dir: str = '',
  ):
    """Checks that all are prepared; each is read when it is wanted.

    Nothing is downloaded: 2.9 GB are for the user to decide on.

    Args:
      dataset: The clean test examples, or the first so many of them.
      shifts: Those that will be asked for.
      data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.

    Raises:
      InputError: The dataset is not CIFAR-10, a corruption is not prepared, or
        the labels are not the test set's, in the same order.
    """
    if dataset.spec.name != 'cifar10':
      raise InputError('corrupted images', 'tfds', 'cifar10 as the dataset')
    self._builders = {
      shift: _builder(shift, data_dir)
      for shift in shifts
      if shift != corruptions.CLEAN
    }
    super().__init__(dataset, f'the published files, from TFDS {_NAME}')
    # A shift's images are asked for piece by piece, then those of the next.
    self._read = functools.lru_cache(maxsize=1)(self._read_whole)
    if self._builders:
      self._read(next(iter(self._builders)))

  def _corrupted(self, shift, start, stop):
    return self._read(shift)[start:stop]

  def _read_whole(self, shift: corruptions.Shift) -> np.ndarray:
    """Reads a shift's images into memory, in the published order."""
    arrays = tfds_splits.read_split(self._builders[shift], 'test')
    place = np.argsort(_stored_order(len(arrays['label'])))
    number = len(self.dataset.labels)
    labels = arrays['label'][place][:number]
    if not np.array_equal(labels, self.dataset.labels):
      raise InputError(
        f'TFDS {_NAME}/{tfds_name(shift)}',
        f'{len(labels)} labels in another order or of other examples',
        f'the {number} labels of the test set of {self.dataset.spec.name}',
        'prepare both datasets with the same version of TFDS',
      )
    return arrays['image'][place]


def tfds_name(shift: corruptions.Shift) -> str:
  """Returns TFDS's name for a shift, such as `frosted_glass_blur_3`."""
  kind = shift.corruption
  return f'{_TFDS_NAMES.get(kind, kind.value)}_{shift.severity}'


def _builder(shift: corruptions.Shift, data_dir: str) -> Any:
  """Returns TFDS's builder of a shift's images."""
  name = f'{_NAME}/{tfds_name(shift)}'
  builder = tfds_splits.make_builder(name, data_dir)
  if not builder.is_prepared():
    raise InputError(
      'data_dir',
      builder.data_dir,
      f'a folder in which TFDS has prepared {name}',
      f'`tfds build {_NAME}` downloads 2.9 GB and does',
    )
  return builder


def _stored_order(number: int) -> list[int]:
  """Returns the published place of each example that TFDS has stored.

  TFDS sorts the examples of a split by the MD5 of the split's name and the
  example's key, which for this dataset is its place.
  """
  return sorted(
    range(number), key=lambda i: hashlib.md5(f'test{i}'.encode()).digest()
  )
