"""Evaluates stored predictions, and makes the records of all evaluations."""

from __future__ import annotations

from collections.abc import Mapping

from uncertainty_distill import metrics
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation.results import Result
from uncertainty_distill.metrics import ranking

import numpy as np
import tensorflow as tf

# The number of logits that are in memory at once in float64.
_CHUNK = 2**24


def evaluate_predictions(
  label: str,
  seed: int | None,
  logits: np.ndarray,
  labels: np.ndarray,
  out_of_distribution: np.ndarray | None = None,
) -> Result:
  """Scores stored predictions of the clean test images.

  Args:
    label: The system's name in results, such as `deep_ensemble`.
    seed: The seed of its training, or None.
    logits: [M, N, K].
    labels: Integers [N].
    out_of_distribution: The logits of images of none of the classes, [M, L, K].

  Returns:
    All metrics except those that need a fitted temperature, prediction sets, or
    images that are not given.
  """
  sums, scores = _score(logits, labels)
  further = {}
  if out_of_distribution is not None:
    no_labels = np.zeros(out_of_distribution.shape[1], int)
    _, of_unknown = _score(out_of_distribution, no_labels)
    further = ranking.ood_metrics(scores, of_unknown)
  shift = corruptions.CLEAN
  return make_result(label, seed, shift, sums, scores, further=further)


def _score(
  logits: np.ndarray, labels: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """Returns the sums over all examples, and each example's scores.

  Everything is computed in float64: a count in float32 would stop growing at
  2^24 examples.
  """
  sums, scores = [], []
  members, _, classes = logits.shape
  step = max(1, _CHUNK // (members * classes))
  for start in range(0, len(labels), step):
    part = slice(start, start + step)
    given = logits[:, part].astype(np.float64), labels[part]
    of_part = metrics.sufficient_statistics(*given)
    probs = metrics.mean_probs(given[0])
    of_part['class_gaps'] = metrics.class_gaps(
      probs, given[1], tf.ones_like(probs[:, 0])
    )
    sums.append(of_part)
    scores.append(metrics.example_scores(*given))
  total = {name: np.sum([of[name] for of in sums], axis=0) for name in sums[0]}
  every = {
    name: np.concatenate([of[name] for of in scores]) for name in scores[0]
  }
  # Scores that differ only by rounding errors must tie.
  return total, {name: np.round(values, 12) for name, values in every.items()}


def make_result(
  label: str,
  seed: int | None,
  shift: corruptions.Shift,
  sums: Mapping[str, np.ndarray],
  scores: Mapping[str, np.ndarray],
  images: str = '',
  further: Mapping[str, float] | None = None,
) -> Result:
  """Makes the record of one model on one set of images.

  Args:
    label: The model's name in results, such as `deep_ensemble`.
    seed: The seed of its training, or None.
    shift: The corruption and severity of the images.
    sums: The sums over all examples by name: `metrics.sufficient_statistics`,
      `class_gaps` and, if they are known, `scaled_nll` and
      `metrics.set_statistics`.
    scores: `metrics.example_scores` of each example.
    images: A description of the corrupted images; empty for clean images.
    further: From names to metrics that do not follow from the sums and scores.
  """
  return Result(
    model=label,
    seed=seed,
    shift=shift,
    num_examples=int(sums['count']),
    metrics={**_metrics(sums, scores), **(further or {})},
    images=images,
    member_accuracies=tuple(sums['member_correct'] / sums['count']),
    risks=ranking.risk_coverage_curve(scores['confidence'], scores['correct']),
    **{name: sums[name] for name in metrics.BINS},  # pyright: ignore[reportArgumentType]
  )


def _metrics(
  sums: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]
) -> dict[str, float]:
  """Computes the metrics that are defined for one model on one set."""
  confidence, correct = scores['confidence'], scores['correct']
  values = {k: float(v) for k, v in metrics.compute_metrics(sums).items()}
  values['adaptive_ece'] = ranking.adaptive_ece(confidence, correct)
  values['aurc'] = ranking.aurc(confidence, correct)
  values['augrc'] = ranking.augrc(confidence, correct)
  values['risk_at_80'] = ranking.risk_at_coverage(confidence, correct, 0.8)
  values['coverage_at_5'] = ranking.coverage_at_risk(confidence, correct, 0.05)
  values['classwise_ece'] = metrics.classwise_calibration_error(
    sums['class_gaps'], float(sums['count'])
  )
  for name in ('scaled_nll', *metrics.SETS):
    if name in sums:
      values[name] = float(sums[name] / sums['count'])
  # If all predictions are right, or all wrong, there is nothing to tell apart.
  if 0 < correct.sum() < len(correct):
    values['auroc_misclassification'] = ranking.auroc(confidence, correct)
  return values
