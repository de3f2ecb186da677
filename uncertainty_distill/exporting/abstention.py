"""What is left of a model's errors when it may say that it does not know."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

_COVERAGES = (1.0, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5)


@dataclasses.dataclass(frozen=True)
class Abstention:
  """Answering only images of at most some entropy.

  Attributes:
    threshold: The largest predictive entropy that is answered, in nats.
    coverage: The share of images that are answered.
    accuracy: Of those; the risk is what it lacks to 1.
    errors: How many of those answers are wrong.
  """

  threshold: float
  coverage: float
  accuracy: float
  errors: int


def abstentions(
  entropy: np.ndarray,
  correct: np.ndarray,
  coverages: Sequence[float] = _COVERAGES,
) -> list[Abstention]:
  """Returns the thresholds that answer about so many of the images.

  Args:
    entropy: Predictive entropy [N], in nats.
    correct: Whether the predicted class is the label, bool [N].
    coverages: Shares to answer at least, in (0, 1]. Entropies that tie are
      answered together.

  Returns:
    One for each share; where two fall on one threshold, one for both.
  """
  ordered, rows = np.sort(entropy), {}
  for coverage in coverages:
    last = ordered[max(math.ceil(coverage * len(ordered)), 1) - 1]
    # As it is printed, so that what is printed answers what it says.
    threshold = math.ceil(float(last) * 1e3) / 1e3
    answered = entropy <= threshold
    right = np.asarray(correct, bool)[answered]
    rows[threshold] = Abstention(
      threshold,
      float(answered.mean()),
      float(right.mean()),
      int((~right).sum()),
    )
  return list(rows.values())


def as_table(rows: Sequence[Abstention]) -> str:
  """Returns a Markdown table."""
  lines = [
    '| Answer where the entropy is at most (nats) | Answered | Accuracy of '
    'the answers | Wrong answers |',
    '|--:|--:|--:|--:|',
  ]
  lines += [
    f'| {row.threshold:.3f} | {row.coverage:.1%} | {row.accuracy:.1%} '
    f'| {row.errors} |'
    for row in rows
  ]
  return '\n'.join(lines)
