"""What is evaluated and reported under one name."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class System:
  """A trained system: one run, or several that are a deep ensemble together.

  Attributes:
    label: Its name in tables.
    seed: That of its training, or None.
    paths: Its run folders or SavedModels; a teacher's may be stored
      predictions.
  """

  label: str
  seed: int | None
  paths: tuple[str, ...]

  @property
  def key(self) -> str:
    return self.label if self.seed is None else f'{self.label}/{self.seed}'
