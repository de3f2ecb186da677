"""Corrupted test sets: made on the fly, written to files, read from files."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corrupted_sets.base import (
  CorruptedSet,
  FormulaSet,
)
from uncertainty_distill.data.corrupted_sets.folders import (
  FolderSet,
  images_path,
)
from uncertainty_distill.data.corrupted_sets.tfds_set import TfdsSet, tfds_name
from uncertainty_distill.data.corrupted_sets.writer import write_corrupted_set
from uncertainty_distill.data.image_source import ImageSource


def open_corrupted_set(
  dataset: ImageSource,
  shifts: Sequence[corruptions.Shift],
  source: str = '',
  data_dir: str = '',
  frost: str = 'texture',
  benchmark: str = '',
) -> CorruptedSet:
  """Opens the images of a test set under shifts.

  Args:
    dataset: All clean test examples.
    shifts: The shifts that will be asked for; `CLEAN` may be among them.
    source: Empty to make the images on the fly; `tfds` for the images that TFDS
      has prepared as `cifar10_corrupted`; else a folder in the published
      layout.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    frost: The pictures of ice for images made on the fly, `texture` or
      `photographs`.
    benchmark: The benchmark whose constants to use for images made on the fly;
      see `corruptions.choose_benchmark`.

  Raises:
    InputError: If the images are missing, do not belong to this test set, or
      cannot be corrupted.
  """
  if not source:
    if any(shift != corruptions.CLEAN for shift in shifts):
      corruptions.check_image_shape(dataset.spec.image_shape)
    return FormulaSet(dataset, frost=frost, benchmark=benchmark)
  if source == 'tfds':
    return TfdsSet(dataset, shifts, data_dir)
  return FolderSet(dataset, source, shifts)
