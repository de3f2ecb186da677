"""Abstention: the errors that remain if a model may decline to answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

_COVERAGES = (1.0, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5)


@dataclasses.dataclass(frozen=True)
class Abstention:
  """The effect of answering only for images up to some entropy.

  Attributes:
    threshold: The largest predictive entropy, in nats, at which the model still
      answers.
    coverage: The share of images for which the model answers.
    accuracy: The accuracy of the answers, which is 1 minus the risk.
    errors: The number of wrong answers.
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
  """Returns the thresholds at which given shares of images are answered.

  Args:
    entropy: Predictive entropy [N], in nats.
    correct: Whether the predicted class is the label, bool [N].
    coverages: The shares of images to answer at least, in (0, 1]. Images of
      equal entropy are either all answered or all declined.

  Returns:
    One entry for each share. Shares with the same threshold have only one entry
    in common.
  """
  ordered, rows = np.sort(entropy), {}
  for coverage in coverages:
    last = ordered[max(math.ceil(coverage * len(ordered)), 1) - 1]
    # Rounded up to the printed digits, so that the printed threshold has the
    # printed effect.
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
  """Returns a Markdown table with a row for each threshold."""
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
