"""Metrics that need the score of every example, not sums over batches.

None depends on the order of the examples: where scores tie, each counts as the
average over all orders of those that tie.
"""

from __future__ import annotations

from uncertainty_distill import errors

import numpy as np


def adaptive_ece(
  confidence: np.ndarray, correct: np.ndarray, num_bins: int = 15
) -> float:
  """Expected calibration error over bins of equally many examples.

  sum_i n_i/N |accuracy_i - confidence_i| over bins i of the examples in the
  order of their confidence; the first N mod num_bins bins hold one more than
  the others (Nguyen and O'Connor 2015, section 4; of the predicted class
  alone, as the ECE of `compute_metrics`). Bins of equal width are mostly empty
  where a model is sure of nearly everything, and these are not.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].
    num_bins: The number of bins, at least 1.

  Returns:
    A number in [0, 1]; NaN if there is no example or a confidence is NaN.

  Raises:
    InputError: The shapes are not as above, or there is no bin.
  """
  if num_bins < 1:
    raise errors.InputError('num_bins', num_bins, 'at least 1')
  confidence, correct = _checked(confidence, correct)
  if not len(confidence) or np.isnan(confidence).any():
    return float('nan')
  confidence, correct = _by_score(confidence, correct)
  gaps = [
    abs(np.sum(part)) for part in np.array_split(correct - confidence, num_bins)
  ]
  return float(np.sum(gaps) / len(confidence))


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
  """Area under the receiver operating characteristic.

  The probability that a positive example, picked at random, scores higher than
  a negative one; a tie counts one half. By ranks: (sum of the positives' ranks
  - P (P + 1) / 2) / (P Q) with P positives, Q negatives, and ties at the mean
  of their ranks (Hanley and McNeil 1982).

  Args:
    scores: Higher for what looks positive, float [N].
    positive: Which examples are, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1]; NaN if all are positive, none is, or a score is NaN.

  Raises:
    InputError: The shapes are not as above.
  """
  # SciPy takes a second to import: no command should wait for it at its start.
  from scipy import stats

  scores, positive = _checked(scores, positive)
  positives = positive.sum()
  negatives = len(positive) - positives
  if not positives or not negatives or np.isnan(scores).any():
    return float('nan')
  ranks = stats.rankdata(scores)
  above = ranks[positive > 0].sum() - positives * (positives + 1) / 2
  return float(above / (positives * negatives))


def misclassification_auroc(
  confidence: np.ndarray, correct: np.ndarray
) -> float:
  """How well confidence tells right predictions from wrong ones.

  The AUROC of confidence, right predictions being the positive ones
  (Hendrycks and Gimpel 2017).

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1]; NaN if all are right, none is, or a confidence is NaN.
  """
  return auroc(confidence, correct)


def ood_auroc(
  entropy: np.ndarray, out_of_distribution_entropy: np.ndarray
) -> float:
  """How well predictive entropy tells out-of-distribution images apart.

  The AUROC of the entropy of the members' mean probabilities; the positive
  images are the out-of-distribution ones.

  Args:
    entropy: The entropy of the images of the test set, float [N].
    out_of_distribution_entropy: The entropy of images of none of its classes,
      float [M].

  Returns:
    A number in [0, 1]; NaN if there is no image of either kind, or an entropy
    is NaN.
  """
  entropies = [np.ravel(entropy), np.ravel(out_of_distribution_entropy)]
  is_ood = np.repeat([0.0, 1.0], [len(values) for values in entropies])
  return auroc(np.concatenate(entropies), is_ood)


def aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
  """Area under the risk-coverage curve.

  A classifier that answers the k images it is surest of has coverage k/N and,
  as its risk, the share of wrong ones among those k. The area is the mean of
  the risk over the N coverages 1/N, 2/N, ..., 1 (Geifman and El-Yaniv 2017
  define the curve; Geifman, Uziel and El-Yaniv 2019 take this mean of it). It
  is 0 for a model without errors, and about E(E+1)/(2N^2) for one whose few
  errors, E, are its least confident predictions.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1], lower is better; NaN if there is no example or a
    confidence is NaN.

  Raises:
    InputError: The shapes are not as above.
  """
  confidence, correct = _checked(confidence, correct)
  if not len(confidence) or np.isnan(confidence).any():
    return float('nan')
  _, correct = _by_score(confidence, correct)
  wrong = np.cumsum(1 - correct[::-1])
  return float(np.mean(wrong / np.arange(1, len(wrong) + 1)))


def _checked(
  scores: np.ndarray, flags: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns both as float64 [N]."""
  scores, flags = np.asarray(scores, np.float64), np.asarray(flags, np.float64)
  if scores.ndim != 1 or scores.shape != flags.shape:
    raise errors.InputError(
      'scores', [scores.shape, flags.shape], 'two arrays of one length'
    )
  return scores, flags


def _by_score(
  scores: np.ndarray, flags: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Sorts by score; examples of one score all get the mean of their flags."""
  _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
  means = np.bincount(group, weights=flags) / sizes
  order = np.argsort(group, kind='stable')
  return scores[order], means[group[order]]
