"""Metrics that need the score of every example, not sums over batches.

None depends on the order of the examples: where scores tie, each counts as the
average over all orders of those that tie.
"""

from __future__ import annotations

import math

from uncertainty_distill import errors

import numpy as np

# Where the risk-coverage curve is kept: the shares of images that are answered.
COVERAGES = tuple(percent / 100 for percent in range(5, 101, 5))


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
  if not _are_of_two_kinds(scores, positive):
    return float('nan')
  positives = positive.sum()
  negatives = len(positive) - positives
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
  return auroc(*_pooled(entropy, out_of_distribution_entropy))


def ood_aupr(
  entropy: np.ndarray, out_of_distribution_entropy: np.ndarray
) -> float:
  """How many of the images found by their entropy are out of distribution.

  The area under the precision-recall curve of `ood_auroc`'s two kinds of
  images, as the average precision: sum_n (R_n - R_{n-1}) P_n over the distinct
  entropies n from the largest down, where R_n is the share of the
  out-of-distribution images of at least that entropy, and P_n their share among
  all images of at least that entropy (Hendrycks and Gimpel 2017).

  Args:
    entropy: As for `ood_auroc`, [N].
    out_of_distribution_entropy: As for `ood_auroc`, [M].

  Returns:
    A number in [0, 1], about M / (N + M) by chance; NaN as `ood_auroc`.
  """
  found, positive = _pooled(entropy, out_of_distribution_entropy)
  if not _are_of_two_kinds(found, positive):
    return float('nan')
  levels, group = np.unique(-found, return_inverse=True)
  of_level = np.bincount(group, weights=positive, minlength=len(levels))
  precision = np.cumsum(of_level) / np.cumsum(np.bincount(group))
  return float(np.sum(of_level * precision) / positive.sum())


def ood_fpr(
  entropy: np.ndarray,
  out_of_distribution_entropy: np.ndarray,
  recall: float = 0.95,
) -> float:
  """The false alarms at an entropy that finds most out-of-distribution images.

  Args:
    entropy: As for `ood_auroc`, [N].
    out_of_distribution_entropy: As for `ood_auroc`, [M].
    recall: The least share of the out-of-distribution images to find, in
      (0, 1]; the threshold is the highest entropy that does.

  Returns:
    The share of the test images of at least that entropy, in [0, 1], lower is
    better (Liang et al. 2018, at 0.95); NaN as `ood_auroc`.
  """
  found, positive = _pooled(entropy, out_of_distribution_entropy)
  if not _are_of_two_kinds(found, positive):
    return float('nan')
  ood = np.sort(found[positive > 0])[::-1]
  threshold = ood[_ranks(recall, len(ood)) - 1]
  return float(np.mean(found[positive == 0] >= threshold))


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
  wrong, _ = _errors_of_surest(confidence, correct)
  return float(np.mean(wrong / np.arange(1, len(wrong) + 1)))


def augrc(confidence: np.ndarray, correct: np.ndarray) -> float:
  """Area under the generalized risk-coverage curve.

  The generalized risk at coverage k/N is the share of all N images that are
  among the k surest and wrong: what goes wrong unnoticed. The area is its mean
  over the coverages 1/N, ..., 1 (Traub et al. 2024). Unlike the AURC it does
  not weigh the errors of the surest few by 1/k.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].

  Returns:
    A number in [0, 1], lower is better; NaN as `aurc`.

  Raises:
    InputError: The shapes are not as above.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  return float(np.mean(wrong) / len(wrong))


def risk_at_coverage(
  confidence: np.ndarray, correct: np.ndarray, coverage: float = 0.8
) -> float:
  """The share of errors where the least sure predictions are withheld.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].
    coverage: The least share of the images to answer, in (0, 1].

  Returns:
    The share of errors among the answers, in [0, 1]; NaN as `aurc`.

  Raises:
    InputError: The shapes are not as above.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  count = _ranks(coverage, len(wrong))
  return float(wrong[count - 1] / count)


def risks(confidence: np.ndarray, correct: np.ndarray) -> tuple[float, ...]:
  """The risk-coverage curve at the coverages `COVERAGES`.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].

  Returns:
    `risk_at_coverage` of each, one number for each of `COVERAGES`.

  Raises:
    InputError: The shapes are not as above.
  """
  wrong, _ = _errors_of_surest(confidence, correct)
  counts = [_ranks(coverage, len(wrong)) for coverage in COVERAGES]
  return tuple(float(wrong[count - 1] / count) for count in counts)


def coverage_at_risk(
  confidence: np.ndarray, correct: np.ndarray, risk: float = 0.05
) -> float:
  """The largest share of images that can be answered with so few errors.

  Args:
    confidence: Probability of the predicted class, float [N].
    correct: Whether it is the label, bool or 0 and 1, [N].
    risk: The largest share of errors among the answers.

  Returns:
    The share of answers, in [0, 1], of the lowest threshold of the confidence
    that keeps to the risk; images of equal confidence are answered together. 0
    if no threshold does; NaN as `aurc`.

  Raises:
    InputError: The shapes are not as above.
  """
  wrong, is_last = _errors_of_surest(confidence, correct)
  if np.isnan(wrong).any():
    return float('nan')
  counts = np.arange(1, len(wrong) + 1)
  kept = counts[is_last & (wrong <= risk * counts * (1 + 1e-12))]
  return float(max(kept, default=0) / len(wrong))


def _ranks(share: float, count: int) -> int:
  """Returns the least number of `count` examples that are such a share."""
  return max(math.ceil(share * count * (1 - 1e-12)), 1)


def _are_of_two_kinds(scores: np.ndarray, positive: np.ndarray) -> bool:
  """Returns whether there are positives and others, and every score."""
  return 0 < positive.sum() < len(positive) and not np.isnan(scores).any()


def _pooled(
  entropy: np.ndarray, out_of_distribution_entropy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns all entropies [N + M], and 1 for those out of distribution."""
  entropies = [np.ravel(entropy), np.ravel(out_of_distribution_entropy)]
  is_ood = np.repeat([0.0, 1.0], [len(values) for values in entropies])
  return np.concatenate(entropies), is_ood


def _errors_of_surest(
  confidence: np.ndarray, correct: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Counts the errors among the k surest predictions.

  Returns:
    Their number for k = 1, ..., N, the mean over all orders of those that tie;
    and whether the next prediction is less sure than the k-th, [N]. [NaN] and
    [True] if there is no example or a confidence is NaN.
  """
  confidence, correct = _checked(confidence, correct)
  if not len(confidence) or np.isnan(confidence).any():
    return np.array([np.nan]), np.array([True])
  confidence, correct = _by_score(confidence, correct)
  is_last = np.append(np.diff(confidence[::-1]) != 0, True)
  return np.cumsum(1 - correct[::-1]), is_last


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
