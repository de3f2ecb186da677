"""Corrupted test sets: made on the fly, made as files, read from files."""

from uncertainty_distill.data.corrupted_sets.base import (
  CorruptedSet,
  FormulaSet,
)
from uncertainty_distill.data.corrupted_sets.folders import FolderSet
from uncertainty_distill.data.corrupted_sets.opening import open_corrupted_set
from uncertainty_distill.data.corrupted_sets.tfds_set import TfdsSet
from uncertainty_distill.data.corrupted_sets.writer import write_corrupted_set

__all__ = [
  'CorruptedSet',
  'FolderSet',
  'FormulaSet',
  'TfdsSet',
  'open_corrupted_set',
  'write_corrupted_set',
]
