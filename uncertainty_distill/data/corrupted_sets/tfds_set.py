"""The published CIFAR-10-C as TFDS prepares it, `cifar10_corrupted`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

from uncertainty_distill.data import corruptions, tfds_splits
from uncertainty_distill.data.corrupted_sets import base
from uncertainty_distill.data.image_source import ImageSource
from uncertainty_distill.errors import InputError

import numpy as np

_NAME = 'cifar10_corrupted'
_SHAPE = (32, 32, 3)
# Corruptions that have another name in TFDS than in the published files.
_TFDS_NAMES = {
  corruptions.Corruption.GLASS_BLUR: 'frosted_glass_blur',
  corruptions.Corruption.ELASTIC_TRANSFORM: 'elastic',
}


class TfdsSet(base.CorruptedSet):
  """Corrupted images of CIFAR-10 that TFDS has prepared."""

  def __init__(
    self,
    dataset: ImageSource,
    shifts: Iterable[corruptions.Shift],
    data_dir: str = '',
  ):
    """Checks that all shifts are prepared, and reads the first one.

    The other shifts are read when they are asked for. Nothing is downloaded,
    because the user should decide whether to download 2.9 GB.

    Args:
      dataset: All clean test examples.
      shifts: The shifts that will be asked for.
      data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.

    Raises:
      InputError: If the dataset is not CIFAR-10 at 32x32, a corruption is not
        prepared, or the labels are not those of the test set in the same order.
    """
    if dataset.spec.name != 'cifar10' or dataset.spec.image_shape != _SHAPE:
      raise InputError(
        'corrupted images',
        'tfds',
        'a folder of images of this dataset, or empty',
        message='TFDS has corrupted images only of cifar10 at its original '
        f'size, not of {dataset.spec.name} {list(dataset.spec.image_shape)}',
      )
    self._builders = {
      shift: _builder(shift, data_dir)
      for shift in shifts
      if shift != corruptions.CLEAN
    }
    super().__init__(dataset, f'the published files, from TFDS {_NAME}')
    # All images of a shift are asked for before those of the next.
    self._read = functools.lru_cache(maxsize=1)(self._read_whole)
    if self._builders:
      self._read(next(iter(self._builders)))

  def _corrupted(self, shift, rows):
    return self._read(shift)[rows]

  def _read_whole(self, shift: corruptions.Shift) -> np.ndarray:
    """Reads the images of a shift into memory, in the published order."""
    arrays = tfds_splits.read_split(self._builders[shift], 'test')
    order = np.argsort(_stored_order(len(arrays['label'])))
    labels = arrays['label'][order]
    if not np.array_equal(labels, self.dataset.labels):
      raise InputError(
        f'TFDS {tfds_name(shift)}',
        f'{len(labels)} labels',
        f'the {len(self.dataset)} labels of the test set in the same order',
        'prepare both datasets with the same version of TFDS',
        message=f'The labels of TFDS {tfds_name(shift)} differ from those of '
        f'the test set of {self.dataset.spec.name}, or are in another order',
      )
    return arrays['image'][order]


def tfds_name(shift: corruptions.Shift) -> str:
  """Returns TFDS's name, as in `cifar10_corrupted/frosted_glass_blur_3`."""
  kind = shift.corruption
  assert kind is not None, 'clean images have no name'
  return f'{_NAME}/{_TFDS_NAMES.get(kind, kind.value)}_{shift.severity}'


def _builder(shift: corruptions.Shift, data_dir: str) -> Any:
  """Returns the TFDS builder of the images of a shift."""
  name = tfds_name(shift)
  builder = tfds_splits.make_builder(name, data_dir)
  if not builder.is_prepared():
    raise InputError(
      'data_dir',
      builder.data_dir,
      f'a folder in which TFDS has prepared {name}',
      f'run `tfds build {_NAME}`, which downloads 2.9 GB',
    )
  return builder


def _stored_order(number: int) -> list[int]:
  """Returns the published row of each example in the order of TFDS.

  TFDS sorts the examples of a split by the MD5 of the name of the split and the
  key of the example. In this dataset, the key is the row of the example.
  """
  return sorted(
    range(number), key=lambda i: hashlib.md5(f'test{i}'.encode()).digest()
  )
