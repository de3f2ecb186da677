"""Chooses where corrupted images come from."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corrupted_sets import base, folders, tfds_set
from uncertainty_distill.data.image_source import ImageDataset


def open_corrupted_set(
  dataset: ImageDataset,
  shifts: Sequence[corruptions.Shift],
  source: str = '',
  data_dir: str = '',
  seed: int = 0,
) -> base.CorruptedSet:
  """Opens the images of a test set under shifts.

  Args:
    dataset: The clean test examples, or the first so many of them.
    shifts: Those that will be asked for; `CLEAN` may be among them.
    source: Empty to make the images on the fly; `tfds` for what TFDS has
      prepared as `cifar10_corrupted`; else a folder in the published layout.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    seed: Of images made on the fly.

  Raises:
    InputError: What is asked for is not there, or not as described.
  """
  if not source:
    return base.FormulaSet(dataset, seed)
  if source == 'tfds':
    return tfds_set.TfdsSet(dataset, shifts, data_dir)
  return folders.FolderSet(dataset, source, shifts)
