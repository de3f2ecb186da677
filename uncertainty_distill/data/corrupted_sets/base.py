"""What a corrupted test set is, wherever its images come from."""

from __future__ import annotations

import abc

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.image_source import ImageDataset

import numpy as np


class CorruptedSet(abc.ABC):
  """The images of a test set under shifts, in the order of the clean ones.

  Attributes:
    dataset: The clean test examples; their labels are those of the corrupted
      images too.
    description: Which images these are, for reports: published or not, from
      where.
  """

  def __init__(self, dataset: ImageDataset, description: str):
    self.dataset = dataset
    self.description = description

  def images(
    self, shift: corruptions.Shift, start: int, stop: int
  ) -> np.ndarray:
    """Returns the images of examples `start` to `stop` under a shift.

    Args:
      shift: One of those that the set was opened for, or `CLEAN`.
      start: The first example's place in the test set.
      stop: The place after the last example's; cut to the test set's length.

    Returns:
      uint8 [stop - start, H, W, C].

    Raises:
      InputError: The images cannot be had.
    """
    start, stop, _ = slice(start, stop).indices(len(self.dataset.labels))
    if shift == corruptions.CLEAN:
      return self.dataset.images[start:stop]
    return self._corrupted(shift, start, stop)

  @abc.abstractmethod
  def _corrupted(
    self, shift: corruptions.Shift, start: int, stop: int
  ) -> np.ndarray:
    """Returns images as `images` does, for places in the test set."""


class FormulaSet(CorruptedSet):
  """Corrupted images made on the fly; see `corruptions.corrupt`."""

  def __init__(self, dataset: ImageDataset, seed: int = 0):
    """Checks that the images can be corrupted.

    Args:
      dataset: The clean test examples.
      seed: Of the random draws.

    Raises:
      InputError: Images of this size or by this seed cannot be corrupted.
    """
    # Nothing to corrupt; but the arguments are checked before all is under way.
    corruptions.corrupt(dataset.images[:0], corruptions.CLEAN, seed)
    super().__init__(dataset, f'made on the fly by formula, seed {seed}')
    self._seed = seed

  def _corrupted(self, shift, start, stop):
    return corruptions.corrupt(
      self.dataset.images[start:stop],
      shift,
      self._seed,
      np.arange(start, stop),
    )
