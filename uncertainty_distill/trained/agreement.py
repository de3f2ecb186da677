"""How well outputs agree with labels, as given or under another reading.

All thresholds are meant for a few hundred images. They were tried on random and
barely trained networks: linear models, perceptrons and convolutional networks
of 10 classes and of pairs of classes, after 0 to 100 steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from uncertainty_distill import metrics

import numpy as np

# The NLL of a label counts up to this value, in nats. So one-hot predictions,
# such as those of a decision tree, are compared by how many of them are right.
_LARGEST_NLL = -np.log(1e-4)
# Half a bit, in nats. Random networks whose classes are put into the best order
# stay below 0.27 nats: with two classes that are easily told apart, one network
# in 40 is wrong about 96% of the images, but is not sure about any of them.
_LEAST_KNOWLEDGE = 0.5 * np.log(2)
# The least gain in mean NLL, in nats, that is worth an error. With two classes,
# applying softmax twice costs 0.3.
_LEAST_GAIN = 0.1
# A result that chance gives less often than this counts as rare, such as ten
# images that only the other reading gets right. The limit is low enough to try
# other readings in every command.
_MAX_P_VALUE = 1e-3
# How many standard errors the mean gain in NLL must be above 0.
_MIN_DEVIATIONS = 4
# The error in sums and signs of probabilities stored in half precision.
_TOLERANCE = 1e-2


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
  """How well one member's outputs agree with labels.

  Attributes:
    is_right: bool [N], whether the most probable class is the label.
    nlls: The NLL of each label, [N], in nats, at most 9.2.
    chance: The NLL of always predicting the labels' frequencies, in nats. This
      needs no knowledge of the images.
    num_classes: K.
    full_nll: The mean NLL in nats, without the upper bound of `nlls`.
    order: The outputs that stand for the classes 0, 1, ..., if they were put
      into another order; otherwise empty.
  """

  is_right: np.ndarray
  nlls: np.ndarray
  chance: float
  num_classes: int
  full_nll: float
  order: tuple[int, ...] = ()

  @property
  def accuracy(self) -> float:
    """The share of images whose most probable class is the label."""
    return float(self.is_right.mean())

  @property
  def nll(self) -> float:
    """The mean of `nlls`."""
    return float(self.nlls.mean())


def agreement(
  logits: np.ndarray, labels: np.ndarray, order: Sequence[int] = ()
) -> Agreement:
  """Compares the logits [N, K] of one member with labels [N]."""
  from scipy import special

  rows = np.arange(len(labels))
  log_probs = special.log_softmax(np.asarray(logits, np.float64), -1)
  nlls = -log_probs[rows, labels]
  shares = np.bincount(labels) / len(labels)
  return Agreement(
    log_probs.argmax(-1) == labels,
    np.minimum(nlls, _LARGEST_NLL),
    float(special.entr(shares).sum()),
    log_probs.shape[-1],
    float(nlls.mean()),
    tuple(order),
  )


def in_best_order(logits: np.ndarray, labels: np.ndarray) -> Agreement:
  """Compares logits with labels after the best reordering of the classes.

  Each half of the images is judged in the order that is best for the other
  half: among K! orders, one would explain any few images by chance.

  Args:
    logits: [N, K] of one member.
    labels: [N].

  Returns:
    The agreement. Its `order` is the best one for all images.
  """
  predicted = logits.argmax(-1)
  # Each half gets every other image of each class.
  half = np.zeros(len(labels), int)
  for label in np.unique(labels):
    of_label = np.flatnonzero(labels == label)
    half[of_label] = np.arange(len(of_label)) % 2
  reordered = np.empty_like(logits)
  for part in 0, 1:
    others = half != part
    order = _best_order(predicted[others], labels[others], logits.shape[-1])
    reordered[~others] = logits[~others][:, order]
  order = _best_order(predicted, labels, logits.shape[-1])
  return agreement(reordered, labels, order)


def _best_order(
  predicted: np.ndarray, labels: np.ndarray, num_classes: int
) -> list[int]:
  """Returns an output for each class, so that most predictions are right."""
  # SciPy takes long to import.
  from scipy import optimize

  # Classes that no image gives evidence about keep their own outputs.
  counts = 0.5 * np.eye(num_classes)
  np.add.at(counts, (labels, predicted), 1)
  return optimize.linear_sum_assignment(counts, maximize=True)[1].tolist()


def without_softmax(logits: np.ndarray) -> np.ndarray | None:
  """Reads logits as probabilities.

  Args:
    logits: [N, K] of one member. They may be probabilities that are called
      logits, or logarithms of a softmax of probabilities.

  Returns:
    The logarithms of the probabilities, [N, K]; None if the logits cannot be
    probabilities.
  """
  logits = np.asarray(logits, np.float64)
  sums = logits.sum(-1, keepdims=True)
  # The logarithm of a softmax is the input of the softmax, shifted.
  probs = logits + (1 - sums) / logits.shape[-1]
  if probs.min() < -_TOLERANCE or probs.max() > 1 + _TOLERANCE:
    return None
  # Small logits are also within the bounds, but do not crowd at the upper one.
  crowded = np.mean(probs.max(-1) > 1 - 2 * _TOLERANCE) > 0.1
  if not crowded and abs(sums - 1).max() > _TOLERANCE:
    return None
  return metrics.finite_log(np.clip(probs, 0, 1))  # pyright: ignore[reportReturnType]


def is_far_better(
  other: Agreement, given: Agreement, is_evident: bool = False
) -> bool:
  """Returns whether another reading explains labels far better than the given.

  The other reading must tell enough about each label: half a bit by its
  probabilities, or one bit by its most probable classes. It must also make at
  most half of the errors or have at most half of the NLL. If the NLL of the
  given reading is worse than chance, at most two thirds of the errors are
  enough. The difference must be too large to be due to chance.

  Args:
    other: The other reading.
    given: The given reading, of the same images.
    is_evident: Whether the outputs by themselves look like the other reading.
      If so, the other reading only has to be better beyond doubt.
  """
  errors, before = 1 - other.accuracy, 1 - given.accuracy
  gains = given.nlls - other.nlls
  gain, deviation = gains.mean(), gains.std() / np.sqrt(len(gains))
  is_certain = gain >= max(_LEAST_GAIN, _MIN_DEVIATIONS * deviation)
  if is_evident:
    return bool(is_certain)
  if gain < 0 or not (
    other.chance - other.nll >= _LEAST_KNOWLEDGE
    or other.chance - _uncertainty(errors, other) >= 2 * _LEAST_KNOWLEDGE
  ):
    return False
  few_errors = errors <= before / 2 or (
    given.nll > given.chance and errors <= before * 2 / 3
  )
  if few_errors and _is_rare(
    int(np.sum(other.is_right & ~given.is_right)),
    int(np.sum(other.is_right != given.is_right)),
    0.5,
  ):
    return True
  return bool(errors <= before and other.nll <= given.nll / 2 and is_certain)


def _uncertainty(errors: float, of: Agreement) -> float:
  """Returns the uncertainty about a label if a share of answers is wrong.

  This is the NLL, in nats, of trusting each answer as much as the share allows
  and taking all other classes to be equally likely.
  """
  from scipy import special

  return float(
    special.entr(errors)
    + special.entr(1 - errors)
    + errors * np.log(max(of.num_classes - 1, 1))
  )


def could_be_better(given: Agreement) -> bool:
  """Returns whether another scale of the images could be far better at all."""
  return given.nll >= _LEAST_GAIN


def is_near_chance(given: Agreement, labels: np.ndarray) -> bool:
  """Returns whether the accuracy is near that of always guessing one label."""
  most = np.bincount(labels).max() / len(labels)
  halfway = (1 + most) / 2
  # With few images, even being right about all of them may be chance.
  return given.accuracy < halfway and not _is_rare(
    int(given.is_right.sum()), len(labels), most, 0.01
  )


def _is_rare(
  hits: int, count: int, probability: float, limit: float = _MAX_P_VALUE
) -> bool:
  """Returns whether chance rarely gives this many hits or more."""
  from scipy import special

  return bool(special.bdtrc(hits - 1, count, probability) < limit)
