"""Checks models against labeled images before they teach or are scored.

docs/teachers.md explains the rule.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Sequence

from uncertainty_distill import data
from uncertainty_distill.errors import InputError
from uncertainty_distill.trained import agreement as agreement_lib
from uncertainty_distill.trained.agreement import Agreement
from uncertainty_distill.trained.trained_model import (
  SavedModel,
  TrainedModel,
)

import numpy as np
import tensorflow as tf
import tf_keras

_logger = logging.getLogger(__name__)

# If there are many classes, each one gets five images, as long as these are not
# too many to be run in every command.
_LEAST_IMAGES, _MOST_IMAGES, _IMAGES_OF_CLASS = 256, 512, 5
_BATCH = 64
_LONGEST_ORDER = 20


@dataclasses.dataclass(frozen=True)
class _Finding:
  """Another reading of a member's outputs that explains the labels.

  Attributes:
    agreement: How well this reading agrees with the labels.
    change: What is changed, as the text before "it would agree with".
    expected: What the model must be.
    remedy: What to do.
    is_evident: Whether the outputs by themselves look like this reading.
  """

  agreement: Agreement
  change: str
  expected: str
  remedy: str
  is_evident: bool = False


@dataclasses.dataclass(frozen=True)
class LabelCheck:
  """Checks that models agree with labeled images.

  Attributes:
    images: Training images for a teacher, test images for a model that is
      scored, or the images that a model is calibrated on.
    description: The name of the images, in plural, such as `training images`.
    refuses: Whether it is an error if another reading explains the labels far
      better; otherwise it is a warning.
  """

  images: data.ImageSource
  description: str
  refuses: bool = True

  @functools.cached_property
  def rows(self) -> np.ndarray:
    """The numbers of the images that are used, integers [n], in order."""
    return draw(self.images.labels)

  def check_model(self, model: TrainedModel) -> None:
    """Checks each member of a model by itself, on a few hundred images.

    Call this in the scope in which the model is used, so that the model is
    loaded only once. No random numbers are drawn.

    Raises:
      InputError: If another order of classes, another scale of the images, or
        probabilities in place of logits explains the labels far better.
    """
    rows = self.rows
    images, labels = self.images.numpy(rows), self.images.labels[rows]
    near = []
    for part in model.parts:
      network = part.ensemble()

      def at_other_scales(part=part, network=network):
        if not (isinstance(part, SavedModel) and part.takes_floats):
          return {}
        return {
          name: _member_logits(network, scaled)
          for name, scaled in _other_scales(images, self.images.spec)
        }

      near += self._check(
        model.name,
        part.paths[0],
        _member_logits(network, images),
        labels,
        at_other_scales,
      )
    self._warn_of(near, len(labels))

  def check_predictions(self, model: TrainedModel, logits: np.ndarray) -> None:
    """Checks a model as `check_model` does, by predictions that are known.

    Args:
      model: The model that made the predictions.
      logits: The predictions of the images of `rows`, [M, n, K].

    Raises:
      InputError: If another order of classes, or probabilities in place of
        logits, explains the labels far better.
    """
    labels = self.images.labels[self.rows]
    if len(model.paths) == len(logits):
      parts = list(zip(model.paths, logits[:, None]))
    else:
      parts = [(', '.join(model.paths), logits)]
    near = []
    for path, part in parts:
      near += self._check(model.name, path, part, labels)
    self._warn_of(near, len(labels))

  def _check(
    self,
    name: str,
    path: str,
    logits: np.ndarray,
    labels: np.ndarray,
    at_other_scales: Callable[[], dict[str, np.ndarray]] = dict,
  ) -> list[tuple[str, list[float]]]:
    """Checks the members of one part, whose logits are [M, n, K].

    Returns:
      The name of the part, and the accuracies of its members that are near
      chance; empty if no member is near chance.
    """
    if not np.isfinite(logits).all():
      return []  # Training and scoring report this.
    given = [agreement_lib.agreement(member, labels) for member in logits]
    scaled = {}
    if any(map(agreement_lib.could_be_better, given)):
      scaled = at_other_scales()
    for index, member in enumerate(logits):
      owner = path if len(logits) == 1 else f'member {index} of {path}'
      found = [
        finding
        for finding in (
          *_other_readings(member, labels),
          *_other_inputs({k: v[index] for k, v in scaled.items()}, labels),
        )
        if agreement_lib.is_far_better(
          finding.agreement, given[index], finding.is_evident
        )
      ]
      if found:
        best = min(found, key=lambda finding: finding.agreement.nll)
        on = self._labels(len(labels))
        self._report(name, path, owner, on, given[index], best)
    near = [a for a in given if agreement_lib.is_near_chance(a, labels)]
    if not near:
      return []
    few = len(near) < len(given)
    whose = f'{len(near)} of {len(given)} of {path}' if few else path
    return [(whose, [of.accuracy for of in near])]

  def _warn_of(
    self, near: Sequence[tuple[str, list[float]]], num_labels: int
  ) -> None:
    """Logs one line about all members that are near chance."""
    if near:
      names = ', '.join(name for name, _ in near)
      shares = ', '.join(f'{share:.0%}' for _, of in near for share in of)
      _logger.warning(
        f'{names}: accuracy is near chance, {shares} of '
        f'{self._labels(num_labels)}: hardly trained, or made for other '
        'images or labels'
      )

  def _labels(self, number: int) -> str:
    return f'the labels of {number} {self.description}'

  def _report(self, name, path, owner, on, given, best) -> None:
    """Raises an InputError, or logs a warning if the check does not refuse."""
    text = (
      f'{owner} agrees with {given.accuracy:.0%} of {on} (NLL '
      f'{given.full_nll:.2f})'
      f'; {best.change} it would agree with {best.agreement.accuracy:.0%} '
      f'(NLL {best.agreement.full_nll:.2f})'
    )
    if not self.refuses:
      _logger.warning(text)
      return
    raise InputError(
      name,
      path,
      best.expected,
      f'{best.remedy}, or set `check_labels` to false to continue anyway',
      message=text,
    )


def draw(labels: np.ndarray) -> np.ndarray:
  """Draws a few hundred images, as evenly over the classes as possible.

  Args:
    labels: [N].

  Returns:
    Row numbers, in increasing order; the same each time.
  """
  order = np.random.RandomState(0).permutation(len(labels))
  by_class = np.argsort(labels[order], kind='stable')
  classes, counts = np.unique(labels, return_counts=True)
  # For each place in the order, how many images of its class come before it.
  rank = np.empty(len(labels), int)
  rank[by_class] = np.concatenate([np.arange(n) for n in counts])
  count = np.clip(_IMAGES_OF_CLASS * len(classes), _LEAST_IMAGES, _MOST_IMAGES)
  by_rank = order[np.argsort(rank, kind='stable')]
  return np.sort(by_rank[:count])


def _member_logits(network: tf_keras.Model, images: np.ndarray) -> np.ndarray:
  """Returns logits [M, n, K]; each device of the strategy runs all images."""
  strategy = tf.distribute.get_strategy()

  def run(batch):
    logits = strategy.run(lambda b: network(b, training=False), args=(batch,))
    return strategy.experimental_local_results(logits)[0]

  # Only for TPUs: with so few images, compiling does not pay elsewhere.
  if isinstance(strategy, tf.distribute.TPUStrategy):
    run = tf.function(run, autograph=False)
  parts = [
    run(tf.constant(images[start : start + _BATCH]))
    for start in range(0, len(images), _BATCH)
  ]
  return np.concatenate([np.asarray(part, np.float64) for part in parts], 1)


def _other_readings(
  logits: np.ndarray, labels: np.ndarray
) -> Iterator[_Finding]:
  """Yields other readings of one member's outputs [n, K]."""
  in_order = agreement_lib.in_best_order(logits, labels)
  if list(in_order.order) != list(range(logits.shape[-1])):
    order = _shown(in_order.order)
    yield _Finding(
      in_order,
      f'with classes in the order {order}',
      'classes in the order of the labels',
      f'reorder them: outputs[..., [{order}]]',
    )
  as_probs = agreement_lib.without_softmax(logits)
  if as_probs is not None:
    yield _Finding(
      agreement_lib.agreement(as_probs, labels),
      'with its outputs taken as probabilities, without another softmax,',
      'logits or probabilities, named accordingly',
      'name them probabilities, or leave out one softmax',
      is_evident=True,
    )


def _other_inputs(
  logits: dict[str, np.ndarray], labels: np.ndarray
) -> Iterator[_Finding]:
  """Yields other readings: one member's outputs for images at other scales."""
  for scale, values in logits.items():
    yield _Finding(
      agreement_lib.agreement(values, labels),
      f'with images {scale} instead of 0 to 255',
      'a model for images of 0 to 255',
      f'have the SavedModel itself convert them to images {scale}',
    )


def _other_scales(
  images: np.ndarray, spec: data.DatasetSpec
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields images at the scales that networks often expect."""
  unit = images.astype(np.float32) / 255
  yield 'of 0 to 1', unit
  yield 'of -1 to 1', 2 * unit - 1
  mean, stddev = np.array(spec.mean), np.array(spec.stddev)
  standard = (unit - mean.astype(np.float32)) / stddev.astype(np.float32)
  yield 'of mean 0 and standard deviation 1', standard


def _shown(order: Sequence[int]) -> str:
  """Returns an order as text; of many classes, only the first ones."""
  if len(order) > _LONGEST_ORDER:
    return ', '.join(map(str, order[:_LONGEST_ORDER])) + ', ...'
  return ', '.join(map(str, order))
