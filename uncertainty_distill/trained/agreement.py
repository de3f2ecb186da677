"""How well outputs agree with labels, as they are and read in other ways.

All thresholds are made for some hundreds of images, and were tried on random
and barely trained networks: linear ones, perceptrons and convolutional ones of
10 classes and of pairs of classes, after 0 to 100 steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from uncertainty_distill import metrics

import numpy as np

# As far as an output of probability 0 counts, in nats: so that one-hot
# predictions of a decision tree, say, are told apart by how many are right.
_LARGEST_NLL = -np.log(1e-4)
# Half a bit. Random networks whose classes are put into the best order stay
# below 0.27 nats: of two classes that are easily told apart, one network in 40
# is wrong of 96% of the images, but sure of none.
_LEAST_KNOWLEDGE = 0.5 * np.log(2)
# Of the mean NLL in nats: less is not worth an error. Two classes with softmax
# applied twice lose 0.3.
_LEAST_GAIN = 0.1
# What chance alone makes so rarely that other readings can be tried in every
# command: ten images of which the other reading alone is right.
_RARE = 1e-3
# Standard errors of the mean difference of the NLL.
_CERTAIN = 4
# Sums and signs of probabilities that were stored in half precision.
_TOLERANCE = 1e-2


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
  """How well one member's outputs agree with labels.

  Attributes:
    is_right: bool [N], whether the most probable class is the label.
    nlls: [N], of each label, in nats, none above 9.2.
    chance: The NLL of the labels' frequencies, in nats: what one gets who knows
      nothing of the images.
    num_classes: K.
    full_nll: The mean NLL, without an upper bound.
    order: The outputs that stand for the classes 0, 1, ..., where they were put
      into another order.
  """

  is_right: np.ndarray
  nlls: np.ndarray
  chance: float
  num_classes: int
  full_nll: float
  order: tuple[int, ...] = ()

  @property
  def accuracy(self) -> float:
    """The share of labels that it agrees with."""
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

  The order that is judged by one half of the images comes from the other half:
  K! orders would explain few images of any kind.

  Args:
    logits: [N, K] of one member.
    labels: [N].

  Returns:
    The agreement; its `order` comes from all images.
  """
  predicted = logits.argmax(-1)
  # Every other image of each class.
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
  """Returns for each class the output that is most often largest for it."""
  # SciPy takes long to import.
  from scipy import optimize

  # Classes that no image tells anything of stay where they are.
  counts = 0.5 * np.eye(num_classes)
  np.add.at(counts, (labels, predicted), 1)
  return optimize.linear_sum_assignment(counts, maximize=True)[1].tolist()


def without_softmax(logits: np.ndarray) -> np.ndarray | None:
  """Takes logits for probabilities.

  Args:
    logits: [N, K] of one member: perhaps probabilities that are called logits,
      or logarithms of a softmax of probabilities.

  Returns:
    Their logarithms, [N, K]; None if they cannot be probabilities.
  """
  logits = np.asarray(logits, np.float64)
  sums = logits.sum(-1, keepdims=True)
  # The logarithm of a softmax is what it is taken of, shifted.
  probs = logits + (1 - sums) / logits.shape[-1]
  if probs.min() < -_TOLERANCE or probs.max() > 1 + _TOLERANCE:
    return None
  # Small logits are within the bounds as well, but do not crowd at them.
  crowded = np.mean(probs.max(-1) > 1 - 2 * _TOLERANCE) > 0.1
  if not crowded and abs(sums - 1).max() > _TOLERANCE:
    return None
  return metrics.finite_log(np.clip(probs, 0, 1))  # pyright: ignore[reportReturnType]


def is_far_better(
  other: Agreement, given: Agreement, is_evident: bool = False
) -> bool:
  """Returns whether another reading explains labels far better than the given.

  It has to tell enough of each label: by its probabilities half a bit, or by
  its most probable classes a bit. And it makes half of the errors at most, or
  has half of the NLL at most; or it makes a third of the errors less where the
  given reading knows less than nothing.

  Args:
    other: The other reading.
    given: The given one, of the same images.
    is_evident: Whether the outputs look like the other reading by themselves;
      then it only has to be better beyond doubt.
  """
  errors, before = 1 - other.accuracy, 1 - given.accuracy
  gains = given.nlls - other.nlls
  gain, deviation = gains.mean(), gains.std() / np.sqrt(len(gains))
  is_certain = gain >= max(_LEAST_GAIN, _CERTAIN * deviation)
  if is_evident:
    return bool(is_certain)
  if gain < 0 or not (
    other.chance - other.nll >= _LEAST_KNOWLEDGE
    or other.chance - _uncertainty(errors, other) >= 2 * _LEAST_KNOWLEDGE
  ):
    return False
  if errors <= before / 2 or (
    given.nll > given.chance and errors <= before * 2 / 3
  ):
    return _is_rare(
      int(np.sum(other.is_right & ~given.is_right)),
      int(np.sum(other.is_right != given.is_right)),
      0.5,
    )
  return bool(errors <= before and other.nll <= given.nll / 2 and is_certain)


def _uncertainty(errors: float, of: Agreement) -> float:
  """Returns what is unknown of a label if a share of answers is wrong.

  This is the NLL, in nats, of one who trusts each answer as much as the share
  allows, and holds all other classes for equally likely.
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
  """Returns whether one who knows the labels' frequencies is as often right."""
  most = np.bincount(labels).max() / len(labels)
  halfway = (1 + most) / 2
  # Of few images even all that are right may be chance.
  return given.accuracy < halfway and not _is_rare(
    int(given.is_right.sum()), len(labels), most, 0.01
  )


def _is_rare(
  hits: int, count: int, probability: float, limit: float = _RARE
) -> bool:
  """Returns whether chance rarely gives so many hits, or more."""
  from scipy import special

  return bool(special.bdtrc(hits - 1, count, probability) < limit)
