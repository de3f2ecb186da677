"""Systems under evaluation: trained models with their names in reports."""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
from collections.abc import Iterable, Mapping, Sequence

from uncertainty_distill import configs, metrics, plots, trained, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import evaluator, prediction_scores
from uncertainty_distill.evaluation.results import Result, system_key

import numpy as np

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class System:
  """A trained system: one run, or several runs that form a deep ensemble.

  Attributes:
    label: The name in results, such as `deep_ensemble`.
    seed: The seed of its training, or None.
    paths: Its run folders or SavedModels. A teacher may instead have files of
      stored predictions.
    scaled: Whether to score the system at the temperature that is fitted to it.
    merged: Whether to score the plain network that merges its members.
  """

  label: str
  seed: int | None
  paths: tuple[str, ...]
  scaled: bool = False
  merged: bool = False

  @property
  def key(self) -> str:
    """The system's name in files, which is made of its label and seed."""
    return system_key(self.label, self.seed)

  @property
  def heading(self) -> str:
    """The name that is shown to readers."""
    name = plots.display_name(self.label)
    return name if self.seed is None else f'{name} (seed {self.seed})'

  @functools.cached_property
  def model(self) -> trained.TrainedModel:
    """The model, which is opened when it is first used.

    Raises:
      InputError: If there is no trained model at one of the paths, or if its
        members cannot be merged.
    """
    model = trained.open_trained(self.paths, 'path')
    return trained.merge_members(model) if self.merged else model

  @property
  def is_stored(self) -> bool:
    """Whether only predictions of the system are known."""
    return isinstance(self.model, trained.StoredPredictions)

  @property
  def runs(self) -> list[trained.Run]:
    """The runs among the parts of the model."""
    return [p for p in self.model.parts if isinstance(p, trained.Run)]


def by_runs(systems: Iterable[System]) -> list[list[System]]:
  """Groups systems of the same runs, which should be evaluated together.

  Scored at a temperature or not, they share a network.
  """
  groups: dict[tuple[str, ...], list[System]] = {}
  for system in systems:
    groups.setdefault(system.paths, []).append(system)
  return list(groups.values())


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


def default_experiment(
  model: trained.TrainedModel,
) -> configs.ExperimentConfig | None:
  """Returns the experiment whose test set a model is evaluated on by default.

  This is the experiment of the model's first run, but with the devices of this
  machine and with label checks. The devices that trained the run do not matter
  to its evaluation, nor does its own `check_labels`, which was about its
  teacher. None if the model has no run.
  """
  config = copy.deepcopy(model.config)
  if config:
    config.check_labels = True
    config.runtime = configs.ExperimentConfig().runtime
  return config


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
  known = {}
  with strategy.scope():
    loaded = [_load(system, experiment, found, known) for system in models]
  candidates = [candidate for candidate in loaded if candidate]
  if not candidates:
    return found
  scorer = evaluator.Evaluator(
    candidates,
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
  keys = [s.key for s, candidate in zip(models, loaded) if candidate]
  found.entropies = dict(zip(keys, scorer.entropies))
  return found


def _leave_out(system: System) -> None:
  _logger.warning(
    f'{system.heading} is left out of the report, because no temperature was '
    f'fitted to {", ".join(system.paths)}'
  )


def _load(system, experiment, found, known):
  """Returns a system as a candidate, and records its size.

  Returns None if the system should be scored at a temperature but has none.

  Args:
    system: The system.
    experiment: The experiment, which gives the test set.
    found: The evaluation to which the size is added.
    known: From paths, and whether they are merged, to the network, its
      temperature, and its logits of the images for fitting the temperature. The
      entry of this system is added.
  """
  model, images = system.model, experiment.evaluation_sets.clean
  spec = images.spec
  key = system.paths, system.merged
  if key not in known:
    model.check_fits(
      spec.image_shape, spec.num_classes, lambda: images.numpy(slice(32))
    )
    network = model.ensemble()
    trained.LabelCheck(
      images, 'test images', experiment.config.check_labels
    ).check_model(model)
    known[key] = (
      network,
      *_fit_temperature(system, network, experiment),
    )
  network, temperature, logits = known[key]
  if system.scaled and not temperature:
    _leave_out(system)
    return None
  # Those of a SavedModel are not known.
  is_known = not any(isinstance(p, trained.SavedModel) for p in model.parts)
  found.sizes[system.label] = ModelSize(
    model.ensemble_size, evaluator.count_parameters(network) if is_known else 0
  )
  return evaluator.Candidate(
    system.label,
    system.seed,
    network,
    temperature,
    system.scaled,
    _calibrate_sets(
      logits / temperature if system.scaled else logits,
      experiment,
    ),
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
