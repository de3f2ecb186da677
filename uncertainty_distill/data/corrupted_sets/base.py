"""The interface of corrupted test sets, and sets made by formula."""

from __future__ import annotations

import abc

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.image_source import ImageSource

import numpy as np


class CorruptedSet(abc.ABC):
  """The images of a test set under shifts, in the order of the clean ones.

  Attributes:
    dataset: The clean test examples. The corrupted images have their labels.
    description: For reports: whether the images are the published ones, and
      where they come from.
  """

  def __init__(self, dataset: ImageSource, description: str):
    self.dataset = dataset
    self.description = description

  def images(self, shift: corruptions.Shift, rows: np.ndarray) -> np.ndarray:
    """Returns test images under a shift.

    Args:
      shift: One of the shifts that the set was opened for, or `CLEAN`.
      rows: Row numbers of test examples, integers [b].

    Returns:
      uint8 [b, H, W, C].

    Raises:
      InputError: If the images cannot be read or made.
    """
    if shift == corruptions.CLEAN:
      return self.dataset.numpy(rows)
    return self._corrupted(shift, rows)

  @abc.abstractmethod
  def _corrupted(
    self, shift: corruptions.Shift, rows: np.ndarray
  ) -> np.ndarray:
    """Does what `images` does for a shift other than `CLEAN`."""


class FormulaSet(CorruptedSet):
  """Corrupted images made on the fly; see `corruptions.corrupt`."""

  def __init__(
    self,
    dataset: ImageSource,
    seed: int = 0,
    frost: str = 'texture',
    benchmark: str = '',
  ):
    """Takes the test set and the recipe.

    Args:
      dataset: The clean test examples.
      seed: The seed of the random draws.
      frost: The pictures of ice, `texture` or `photographs`.
      benchmark: The benchmark whose constants to use; see
        `corruptions.choose_benchmark`.

    Raises:
      InputError: If the seed, the pictures or the benchmark are not valid.
    """
    corruptions.check_seed(seed)
    corruptions.check_frost(frost)
    benchmark = corruptions.choose_benchmark(
      benchmark, dataset.spec.image_shape
    )
    recipe = describe_recipe(seed, frost, benchmark)
    super().__init__(dataset, f'made on the fly by formula, {recipe}')
    self._seed = seed
    self._frost = frost
    self._benchmark = benchmark

  def _corrupted(self, shift, rows):
    images = self.dataset.numpy(rows)
    return corruptions.corrupt(
      images, shift, self._seed, rows, self._frost, self._benchmark
    )


def describe_recipe(seed: int, frost: str, benchmark: str) -> str:
  """Returns, for reports, what images depend on besides the formulas."""
  # Older reports, from when there was no choice, do not name the texture.
  pictures = '' if frost == 'texture' else f', frost from {frost}'
  # Older reports, from when there was one benchmark, do not name it.
  constants = '' if benchmark == 'cifar_c' else f', constants of {benchmark}'
  return f'seed {seed}{pictures}{constants}'
