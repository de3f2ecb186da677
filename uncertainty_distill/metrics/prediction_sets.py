"""Conformal prediction sets, which hold the right class with a set probability.

Calibration needs labelled images that no model was trained on. If future images
are drawn from the same distribution, the sets of a share of at least 1 - alpha
of them hold the right class (Vovk et al. 2005), whatever the model is.
"""

from __future__ import annotations

import dataclasses
import math

from uncertainty_distill.metrics import likelihood

import numpy as np
import tensorflow as tf

METHODS = ('lac', 'aps', 'raps')

# The published values to try for RAPS's penalty (Angelopoulos et al. 2021, E).
_PENALTIES = (0.001, 0.01, 0.1, 0.2, 0.5)
# The share of the examples that RAPS uses to choose its two constants.
_CHOOSING = 0.2
# More than the rounding error of a computed number of examples.
_ROUNDING = 1e-9
# More than the relative rounding error of a probability, however it is
# computed: a class whose score was the threshold in calibration is in its set
# when served.
_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class PredictionSets:
  """A rule from probabilities to sets of classes, without randomization.

  A class is in the set if its score is at most the threshold. The most probable
  class is always in the set, because an empty set is useless. Let p be the
  probabilities in descending order, and r the rank of a class among them. The
  score of the class is:

    lac: 1 - p_r. It gives the smallest sets on average (Sadinle et al. 2019).
    aps: p_1 + ... + p_r (Romano et al. 2020, without u). It gives larger sets,
      whose size says more about how hard an image is.
    raps: p_1 + ... + p_r + penalty * max(r - free_ranks, 0), which leaves out
      classes of little probability (Angelopoulos et al. 2021, equation 4,
      without u).

  Attributes:
    alpha: The share of images whose set may lack the right class.
    method: One of `METHODS`.
    threshold: The largest score in a set.
    penalty: The penalty of each rank above `free_ranks`, for `raps`.
    free_ranks: The number of ranks without a penalty, for `raps`.
    num_examples: The number of examples that the rule was calibrated on.
    source: A description of these examples.
  """

  alpha: float
  method: str
  threshold: float
  penalty: float = 0.0
  free_ranks: int = 0
  num_examples: int = 0
  source: str = ''

  def contains(self, probs: tf.Tensor) -> tf.Tensor:
    """Returns which classes are in each set.

    Args:
      probs: The mean probabilities over the members, float32 [B, K].

    Returns:
      Bool [B, K], with at least one True in every row.
    """
    limit = self.threshold - 1
    contains = self.shifted_scores(probs) <= limit + _TOLERANCE * abs(limit)
    likeliest = tf.argmax(probs, -1, output_type=tf.int32)
    return contains | _one_hot(likeliest, probs.shape[-1])

  def shifted_scores(self, probs: tf.Tensor) -> tf.Tensor:
    """Returns the score of each class minus 1, float32 [B, K].

    Scores of images that a model is sure of crowd below 1, where float32 would
    round them to 1. The differences from 1 are computed without such a loss.

    Args:
      probs: The mean probabilities over the members, float32 [B, K].
    """
    if self.method == 'lac':
      return -probs
    # If probabilities are equal, the first has the lower rank.
    order = tf.argsort(probs, direction='DESCENDING', stable=True)
    probs = tf.gather(probs, order, batch_dims=1)
    # The sum up to a class is 1 less those after it.
    sums = -tf.cumsum(probs, axis=-1, exclusive=True, reverse=True)
    if self.method == 'raps':
      ranks = tf.cumsum(tf.ones_like(sums), axis=-1)
      sums += self.penalty * tf.maximum(ranks - self.free_ranks, 0.0)
    return tf.gather(sums, tf.argsort(order), batch_dims=1)


def least_examples(alpha: float, method: str) -> int:
  """Returns how many examples a calibration needs: 9 for 0.1, or 45 for RAPS.

  With fewer examples, no score is large enough for a threshold, and every set
  would have to hold all classes.
  """
  least = math.ceil((1 - alpha) / alpha - _ROUNDING)
  return least if method != 'raps' else math.ceil(least / _CHOOSING)


def calibrate_sets(
  logits: np.ndarray,
  labels: np.ndarray,
  alpha: float,
  method: str = 'lac',
  source: str = '',
) -> PredictionSets:
  """Calibrates prediction sets (split conformal prediction).

  The threshold is the k-th smallest score of the right class over N examples,
  with k = ceil((N + 1)(1 - alpha)). RAPS first uses a random fifth of the
  examples to choose its constants, and the rest for the threshold. With k for
  this fifth, `free_ranks` is the k-th smallest rank of the right class.
  `penalty` is the value of 0.001, 0.01, 0.1, 0.2 and 0.5 that gives the
  smallest sets (Angelopoulos et al. 2021, algorithm 4 and appendix E).

  Args:
    logits: [E, N, K] for examples that the members were not trained on.
    labels: Integers [N] with N at least `least_examples`.
    alpha: The share of images whose set may lack the right class, in (0, 1).
    method: One of `METHODS`.
    source: A description of these examples.
  """
  probs = mean_probs(tf.constant(logits, tf.float32))
  labels, total = np.asarray(labels), len(labels)
  rule = PredictionSets(alpha, method, 0.0, num_examples=total, source=source)
  if method == 'raps':
    order = np.random.default_rng(0).permutation(total)
    chosen = np.split(order, [int(_CHOOSING * total)])
    first, rest = (tf.gather(probs, rows) for rows in chosen)
    rule = _choose_constants(rule, first, labels[chosen[0]])
    probs, labels = rest, labels[chosen[1]]
  return _with_threshold(rule, probs, labels)


def mean_probs(logits: tf.Tensor | np.ndarray) -> tf.Tensor:
  """Returns the members' mean probabilities [B, K] for logits [E, B, K]."""
  return tf.exp(likelihood.mean_log_probs(likelihood.log_softmax(logits)))


def set_statistics(
  contains: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
) -> dict[str, tf.Tensor]:
  """Sums the statistics of prediction sets over the examples of a batch.

  Args:
    contains: Which classes are in each set, bool [B, K], from
      `PredictionSets.contains`.
    labels: Integers [B].
    weights: Float [B], how often each example counts.

  Returns:
    Scalars: `coverage`, the number of sets that hold the right class, and
    `set_size`, the total number of classes in the sets.
  """
  held = tf.reduce_any(contains & _one_hot(labels, contains.shape[-1]), -1)
  sizes = tf.reduce_sum(tf.cast(contains, weights.dtype), -1)
  return {
    'coverage': tf.reduce_sum(tf.cast(held, weights.dtype) * weights),
    'set_size': tf.reduce_sum(sizes * weights),
  }


def _choose_constants(rule, probs, labels):
  """Returns a RAPS rule with constants chosen on the given examples."""
  of_labels = _of_labels(probs, labels)
  ranks = np.sum(probs.numpy() >= of_labels[:, None], -1)
  free_ranks = int(_quantile(ranks, rule.alpha))
  candidates = [
    _with_threshold(
      dataclasses.replace(rule, penalty=penalty, free_ranks=free_ranks),
      probs,
      labels,
    )
    for penalty in _PENALTIES
  ]
  return min(candidates, key=lambda r: int(np.sum(r.contains(probs))))


def _with_threshold(rule, probs, labels):
  """Returns a rule with the threshold calibrated on the given examples."""
  scores = _of_labels(rule.shifted_scores(probs), labels)
  return dataclasses.replace(
    rule, threshold=1 + float(_quantile(scores, rule.alpha))
  )


def _quantile(values: np.ndarray, alpha: float) -> float:
  """Returns the k-th smallest value, k = ceil((N + 1)(1 - alpha))."""
  k = math.ceil((len(values) + 1) * (1 - alpha) - _ROUNDING)
  return np.sort(values)[min(k, len(values)) - 1]


def _of_labels(values, labels):
  return np.asarray(values)[np.arange(len(labels)), labels]


def _one_hot(labels, num_classes):
  return tf.one_hot(labels, num_classes, on_value=True, off_value=False)
