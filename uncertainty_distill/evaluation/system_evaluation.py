"""Evaluates systems on the same clean and corrupted images."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from uncertainty_distill import metrics, trained, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import evaluator, prediction_scores
from uncertainty_distill.evaluation.results import Result
from uncertainty_distill.evaluation.system import System

import numpy as np
import tf_keras

_logger = logging.getLogger(__name__)

# The settings that decide which of a dataset's examples are tested on.
_DIVIDED_BY = 'train_split', 'test_split', 'test_from_training', 'test_fraction'


@dataclasses.dataclass(frozen=True)
class ModelSize:
  """The size of a model.

  Attributes:
    members: The number of the ensemble's members; 1 for a single network.
    parameters: The number of trained parameters of all members together; 0 if
      it is unknown.
  """

  members: int
  parameters: int


@dataclasses.dataclass
class Evaluation:
  """The results of several systems.

  Attributes:
    results: One record for each system and shift.
    sizes: From systems' labels to their sizes.
    entropies: From systems' keys to the predictive entropy of each clean test
      image, [N], in nats. Stored predictions have none.
  """

  results: list[Result] = dataclasses.field(default_factory=list)
  sizes: dict[str, ModelSize] = dataclasses.field(default_factory=dict)
  entropies: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class _FittedNetwork(NamedTuple):
  """The network of a system, and what was fitted to it.

  Attributes:
    network: Images [B, H, W, C] -> logits [E, B, K].
    temperature: The temperature; None if none could be fitted.
    logits: The logits [E, N, K] of the images for fitting; None without images.
  """

  network: tf_keras.Model
  temperature: float | None
  logits: np.ndarray | None


def evaluate_systems(
  systems: Sequence[System], experiment: training.Experiment
) -> Evaluation:
  """Evaluates systems on the same clean and corrupted images.

  Args:
    systems: The systems. Stored predictions are scored on the clean test images
      only. A system is left out with a warning if its stored predictions lack
      the test images, or if it should be scored at a temperature and none can
      be fitted to it.
    experiment: The experiment, which gives the test set, the batch size and the
      corruptions.

  Raises:
    InputError: If a system cannot be loaded or takes other images, if its
      stored predictions are of another test set, or if the labels contradict
      it.
  """
  found = Evaluation()
  for system in systems:
    if system.is_stored:
      _score_predictions(system, experiment, found)
  models = [system for system in systems if not system.is_stored]
  if not models:
    return found
  sets, strategy = experiment.evaluation_sets, experiment.strategy
  # Scored at a temperature or not, a system has the same network.
  networks: dict[tuple[tuple[str, ...], bool], _FittedNetwork] = {}
  scored = {}
  for system in models:
    key = system.paths, system.merged
    with strategy.scope():
      if key not in networks:
        networks[key] = _open_network(system, experiment)
    model = _scored_model(system, networks[key], experiment)
    if model:
      scored[system.key] = model
      found.sizes[system.label] = _size(system, model.network)
  if not scored:
    return found
  scorer = evaluator.Evaluator(
    list(scored.values()),
    experiment.config.task.validation_data.global_batch_size,
    strategy,
  )
  found.results += scorer.run(
    sets.clean,
    sets.shifts,
    sets.corrupted,
    sets.out_of_distribution,
    sets.num_corrupted,
  )
  found.entropies = dict(zip(scored, scorer.entropies))
  return found


def _leave_out(system: System) -> None:
  _logger.warning(
    f'{system.heading} is left out of the report, because no temperature was '
    f'fitted to {", ".join(system.paths)}'
  )


def _warn_of_other_division(model, experiment):
  """Warns if a run may have been trained on what are test images now."""
  own = experiment.config.task.train_data
  for part in model.parts:
    theirs = part.config and part.config.task.train_data
    if (
      theirs
      and theirs.name == own.name
      and any(getattr(own, n) != getattr(theirs, n) for n in _DIVIDED_BY)
    ):
      _logger.warning(
        f'{part.paths[0]} divided {own.name} into training and test images in '
        'another way: it may have been trained on what is tested on here'
      )


def _open_network(system, experiment):
  """Opens a system's network and fits its temperature; see `_FittedNetwork`."""
  model, images = system.model, experiment.evaluation_sets.clean
  spec = images.spec
  _warn_of_other_division(model, experiment)
  model.check_fits(
    spec.image_shape, spec.num_classes, lambda: images.numpy(slice(32))
  )
  network = model.ensemble()
  trained.LabelCheck(
    images, 'test images', experiment.config.check_labels
  ).check_model(model)
  temperature, logits = _fit_temperature(system, network, experiment)
  return _FittedNetwork(network, temperature, logits)


def _scored_model(system, fitted, experiment):
  """Returns what `Evaluator` scores of a system.

  None if the system should be scored at a temperature but has none.
  """
  if system.scaled and not fitted.temperature:
    _leave_out(system)
    return None
  logits = fitted.logits
  if system.scaled:
    logits = logits / fitted.temperature
  return evaluator.ScoredModel(
    system.label,
    system.seed,
    fitted.network,
    fitted.temperature,
    system.scaled,
    _calibrate_sets(logits, experiment),
  )


def _size(system, network):
  """Returns the size of a system; that of a SavedModel is not known."""
  model = system.model
  is_known = not any(isinstance(p, trained.SavedModel) for p in model.parts)
  return ModelSize(
    model.ensemble_size, evaluator.count_parameters(network) if is_known else 0
  )


def _fit_temperature(system, network, experiment):
  """Returns a temperature and the logits for fitting it; both may be None."""
  images = experiment.evaluation_sets.temperature
  if images is None:
    return None, None
  config = experiment.config
  learned = trained.learned_rows(
    system.model, experiment.dataset, config.task.train_data
  )
  seen = len(np.intersect1d(learned, images.rows))
  if seen:
    _logger.warning(
      f'{system.heading} gets no temperature and no prediction sets: it was '
      f'trained on {seen} of the {len(images)} images that they would be '
      'fitted to'
    )
    return None, None
  given = 'evaluation.temperature_examples', str(len(images))
  trained.check_examples(images, *given)
  logits = trained.apply(
    lambda batch: network(batch, training=False),
    images,
    config.task.validation_data.global_batch_size,
    # Each of several workers computes all logits by itself.
    None if workers.count(experiment.strategy) > 1 else experiment.strategy,
    axis=1,
  )
  source = 'training examples that are not trained on'
  try:
    fitted = trained.fit_temperature(logits, images, source, *given)
  except InputError as error:
    # One system without a temperature must not end the whole report.
    _logger.warning(f'{system.heading} gets no temperature: {error}')
    return None, logits
  return fitted.temperature, logits


def _calibrate_sets(logits, experiment):
  """Returns the rule of a system's prediction sets; None if it gets none."""
  evaluation = experiment.config.evaluation
  if logits is None or not evaluation.conformal:
    return None
  return metrics.calibrate_sets(
    logits,
    experiment.evaluation_sets.temperature.labels,
    evaluation.conformal,
    evaluation.conformal_method,
  )


def _score_predictions(system, experiment, found):
  """Adds the result and the size of a system of stored predictions."""
  if system.scaled:
    _leave_out(system)
    return
  dataset = experiment.dataset
  logits = system.model.predictions(
    'test', dataset.test.labels, dataset.spec.num_classes
  )
  if logits is None:
    _logger.warning(
      f'{", ".join(system.paths)}: there are no test_probs or test_logits, so '
      'the teacher is left out of the report.'
    )
    return
  limit = experiment.config.task.validation_data.num_examples
  images = dataset.test.take(limit)
  labels, logits = images.labels, logits[:, : len(images)]
  check = trained.LabelCheck(
    images, 'test images', experiment.config.check_labels
  )
  check.check_predictions(system.model, logits[:, check.rows])
  found.results.append(
    prediction_scores.evaluate_predictions(
      system.label, system.seed, logits, labels
    )
  )
  found.sizes[system.label] = ModelSize(len(logits), 0)
