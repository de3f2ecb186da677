"""Metrics that need the score of every example, not sums over batches.

No metric depends on the order of the examples: if examples tie, each example
counts as the average over all orders of the tied examples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

# Where the risk-coverage curve is kept: the shares of images that are answered.
COVERAGES = tuple(percent / 100 for percent in range(5, 101, 5))

# The scores that may tell out-of-distribution images apart, each with the sign
# that makes it higher for images that look unknown.
_OOD_SCORES = {'entropy': 1, 'confidence': -1, 'mutual_information': 1}
# The mutual information of members that never differ is below this, in nats:
# what rounding leaves of it.
_NEGLIGIBLE = 1e-6


def adaptive_ece(
  confidence: np.ndarray, correct: np.ndarray, num_bins: int = 15
) -> float:
  """Expected calibration error over bins of equally many examples.

  The error is sum_i n_i/N |accuracy_i - confidence_i| over bins i of the
  examples, sorted by confidence (Nguyen and O'Connor 2015, section 4). The
  first N mod num_bins bins hold one more example than the others. Like the ECE
  of `compute_metrics`, it uses only the predicted class. If a model is sure of
  nearly all images, bins of equal width are mostly empty. These bins are not.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].
    num_bins: The number of bins, at least 1.

  Returns:
    A number in [0, 1]; NaN if there is no example or a confidence is NaN.
  """
  confidence, correct = _as_float64(confidence, correct)
  if not len(confidence) or np.isnan(confidence).any():
    return float('nan')
  confidence, correct = _by_score(confidence, correct)
  gaps = [
    abs(np.sum(part)) for part in np.array_split(correct - confidence, num_bins)
  ]
  return float(np.sum(gaps) / len(confidence))


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
  """Area under the receiver operating characteristic.

  This is the probability that a random positive example scores higher than a
  random negative example; a tie counts one half. It is computed from ranks:
  (sum of the positives' ranks - P (P + 1) / 2) / (P Q) with P positives and Q
  negatives, where tied examples have the mean of their ranks (Hanley and McNeil
  1982).

  Args:
    scores: The scores, higher for examples that look positive, float [N].
    positive: Whether each example is positive, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1]; NaN if all examples are positive, if no example is, or
    if a score is NaN.
  """
  # SciPy takes a second to import. No command should wait for it at its start.
  from scipy import stats

  scores, positive = _as_float64(scores, positive)
  if not _are_of_two_kinds(scores, positive):
    return float('nan')
  positives = positive.sum()
  negatives = len(positive) - positives
  ranks = stats.rankdata(scores)
  above = ranks[positive > 0].sum() - positives * (positives + 1) / 2
  return float(above / (positives * negatives))


def ood_metrics(
  scores: Mapping[str, np.ndarray],
  out_of_distribution_scores: Mapping[str, np.ndarray],
) -> dict[str, float]:
  """How well a model tells out-of-distribution images from test images.

  Three scores are compared: the predictive entropy (`auroc_ood`, `aupr_ood`,
  `fpr95_ood`), minus the confidence (Hendrycks and Gimpel 2017; the names end
  in `_confidence`), and the mutual information (`_mutual_information`; left out
  if the members never differ).

  Args:
    scores: `example_scores` of the N test images.
    out_of_distribution_scores: The same of M images that belong to none of the
      test set's classes.

  Returns:
    From names to numbers in [0, 1]; NaN if N or M is 0, or if a score is NaN.
  """
  values = {}
  for name, sign in _OOD_SCORES.items():
    given = sign * scores[name], sign * out_of_distribution_scores[name]
    if name == 'mutual_information' and np.all(
      np.abs(np.concatenate(given)) < _NEGLIGIBLE
    ):
      continue
    end = '' if name == 'entropy' else f'_{name}'
    values[f'auroc_ood{end}'] = ood_auroc(*given)
    values[f'aupr_ood{end}'] = ood_aupr(*given)
    values[f'fpr95_ood{end}'] = ood_fpr(*given, 0.95)
  return values


def ood_auroc(
  scores: np.ndarray, out_of_distribution_scores: np.ndarray
) -> float:
  """How well a score tells out-of-distribution images apart.

  This is the AUROC of the score, where the out-of-distribution images are the
  positive examples.

  Args:
    scores: The scores of the test images, higher for images that look unknown,
      such as the predictive entropy; float [N].
    out_of_distribution_scores: The scores of images that belong to none of the
      test set's classes, float [M].

  Returns:
    A number in [0, 1]; NaN if N or M is 0, or if a score is NaN.
  """
  return auroc(*_pooled(scores, out_of_distribution_scores))


def ood_aupr(
  scores: np.ndarray, out_of_distribution_scores: np.ndarray
) -> float:
  """How many of the images found by their score are out of distribution.

  This is the area under the precision-recall curve, computed as the average
  precision: sum_n (R_n - R_{n-1}) P_n over the distinct scores n in descending
  order (Hendrycks and Gimpel 2017). R_n is the share of the out-of-distribution
  images that score at least n. P_n is the share of out-of-distribution images
  among all images that score at least n.

  Args:
    scores: As for `ood_auroc`, [N].
    out_of_distribution_scores: As for `ood_auroc`, [M].

  Returns:
    A number in [0, 1], about M / (N + M) by chance; NaN as for `ood_auroc`.
  """
  found, positive = _pooled(scores, out_of_distribution_scores)
  if not _are_of_two_kinds(found, positive):
    return float('nan')
  levels, group = np.unique(-found, return_inverse=True)
  of_level = np.bincount(group, weights=positive, minlength=len(levels))
  precision = np.cumsum(of_level) / np.cumsum(np.bincount(group))
  return float(np.sum(of_level * precision) / positive.sum())


def ood_fpr(
  scores: np.ndarray,
  out_of_distribution_scores: np.ndarray,
  recall: float = 0.95,
) -> float:
  """False-alarm rate of a threshold that finds most out-of-distribution images.

  The out-of-distribution images are the positive examples, as in OpenOOD v1.5
  (Zhang et al. 2023). Liang et al. (2018) take the test images as the positive
  ones, which gives another number.

  Args:
    scores: As for `ood_auroc`, [N].
    out_of_distribution_scores: As for `ood_auroc`, [M].
    recall: The least share of the out-of-distribution images to find, in
      (0, 1]. The threshold is the highest score that finds this share.

  Returns:
    The share of test images that score at least the threshold, in [0, 1]; lower
    is better. NaN as for `ood_auroc`.
  """
  found, positive = _pooled(scores, out_of_distribution_scores)
  if not _are_of_two_kinds(found, positive):
    return float('nan')
  ood = np.sort(found[positive > 0])[::-1]
  threshold = ood[_count_for(recall, len(ood)) - 1]
  return float(np.mean(found[positive == 0] >= threshold))


def aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
  """Area under the risk-coverage curve.

  A classifier that answers only the k images it is surest of has coverage k/N.
  Its risk is the share of errors among these k answers. The area is the mean of
  the risk over the N coverages 1/N, 2/N, ..., 1 (Geifman and El-Yaniv 2017
  define the curve; Geifman, Uziel and El-Yaniv 2019 take this mean of it). The
  area is 0 for a model without errors. It is about E(E+1)/(2N^2) if a model
  makes few errors, E, and they are its least confident predictions.

  Args:
    confidence: The probability of the predicted class, float [N].
    correct: Whether the predicted class is the label, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1], lower is better; NaN if there are no examples or a
    confidence is NaN.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  return float(np.mean(wrong / np.arange(1, len(wrong) + 1)))


def augrc(confidence: np.ndarray, correct: np.ndarray) -> float:
  """Area under the generalized risk-coverage curve.

  The generalized risk at coverage k/N is the number of errors among the k
  surest images, divided by N: the share of images that go wrong unnoticed. The
  area is the mean of this risk over the coverages 1/N, ..., 1 (Traub et al.
  2024). Unlike the AURC, it does not weight the errors of the surest few images
  by 1/k.

  Args:
    confidence: The probability of the predicted class, float [N].
    correct: Whether the predicted class is the label, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1], lower is better; NaN as for `aurc`.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  return float(np.mean(wrong) / len(wrong))


def risk_at_coverage(
  confidence: np.ndarray, correct: np.ndarray, coverage: float = 0.8
) -> float:
  """The share of errors if the least sure predictions are withheld.

  Args:
    confidence: The probability of the predicted class, float [N].
    correct: Whether the predicted class is the label, bool or 0 and 1, [N].
    coverage: The least share of the images to answer, in (0, 1].

  Returns:
    The share of errors among the answers, in [0, 1]; NaN as for `aurc`.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  return _risk(wrong, coverage)


def risk_coverage_curve(
  confidence: np.ndarray, correct: np.ndarray
) -> tuple[float, ...]:
  """The risk-coverage curve at the coverages `COVERAGES`.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].

  Returns:
    `risk_at_coverage` of each, one number for each of `COVERAGES`.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  return tuple(_risk(wrong, coverage) for coverage in COVERAGES)


def coverage_at_risk(
  confidence: np.ndarray, correct: np.ndarray, risk: float = 0.05
) -> float:
  """The largest share of images that can be answered within a given risk.

  Args:
    confidence: The probability of the predicted class, float [N].
    correct: Whether the predicted class is the label, bool or 0 and 1, [N].
    risk: The largest acceptable share of errors among the answers.

  Returns:
    The share of images answered, in [0, 1], at the lowest confidence threshold
    that keeps to the risk. Images of equal confidence are answered together. 0
    if no threshold keeps to the risk; NaN as for `aurc`.
  """
  wrong, is_last = _errors_of_surest(confidence, correct)
  if np.isnan(wrong).any():
    return float('nan')
  counts = np.arange(1, len(wrong) + 1)
  kept = counts[is_last & (wrong <= risk * counts * (1 + 1e-12))]
  return float(max(kept, default=0) / len(wrong))


def _risk(wrong: np.ndarray, coverage: float) -> float:
  """Returns the risk at a coverage, from the errors of `_errors_of_surest`."""
  count = _count_for(coverage, len(wrong))
  return float(wrong[count - 1] / count)


def _count_for(share: float, count: int) -> int:
  """Returns the smallest number that is at least this share of `count`."""
  return max(math.ceil(share * count * (1 - 1e-12)), 1)


def _are_of_two_kinds(scores: np.ndarray, positive: np.ndarray) -> bool:
  """Returns whether there are positives and negatives, and no score is NaN."""
  return 0 < positive.sum() < len(positive) and not np.isnan(scores).any()


def _pooled(
  scores: np.ndarray, out_of_distribution_scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns all scores [N + M], and 1 for out of distribution, else 0."""
  pooled = [np.ravel(scores), np.ravel(out_of_distribution_scores)]
  is_ood = np.repeat([0.0, 1.0], [len(values) for values in pooled])
  return np.concatenate(pooled), is_ood


def _errors_of_surest(
  confidence: np.ndarray, correct: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Counts the errors among the k surest predictions.

  Returns:
    The number of errors [N] for k = 1, ..., N, as the mean over all orders of
    tied predictions; and whether the next prediction is less sure than the
    k-th, [N]. [NaN] and [True] if there are no examples or a confidence is NaN.
  """
  confidence, correct = _as_float64(confidence, correct)
  if not len(confidence) or np.isnan(confidence).any():
    return np.array([np.nan]), np.array([True])
  confidence, correct = _by_score(confidence, correct)
  is_last = np.append(np.diff(confidence[::-1]) != 0, True)
  return np.cumsum(1 - correct[::-1]), is_last


def _as_float64(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
  return tuple(np.asarray(array, np.float64) for array in arrays)


def _by_score(
  scores: np.ndarray, flags: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Sorts by score; examples of equal score all get the mean of their flags."""
  _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
  means = np.bincount(group, weights=flags) / sizes
  order = np.argsort(group, kind='stable')
  return scores[order], means[group[order]]
