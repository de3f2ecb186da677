"""Evaluation of a system of which only its predictions are known."""

from __future__ import annotations

from uncertainty_distill import metrics
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import evaluator
from uncertainty_distill.evaluation.results import Result

import numpy as np


def evaluate_predictions(
  label: str, seed: int | None, logits: np.ndarray, labels: np.ndarray
) -> Result:
  """Scores stored predictions of the clean test images.

  Args:
    label: What the system is, such as `deep_ensemble`.
    seed: That of its training, or None.
    logits: [M, N, K].
    labels: Integers [N].

  Returns:
    All figures but `auroc_ood`.
  """
  sums, scores = (
    {name: value.numpy() for name, value in measure(logits, labels).items()}
    for measure in (metrics.sufficient_statistics, metrics.example_scores)
  )
  return Result(
    model=label,
    seed=seed,
    shift=corruptions.CLEAN,
    num_examples=len(labels),
    figures=evaluator.all_figures(sums, scores),
    **{name: sums[name] for name in evaluator.BINS},
  )
