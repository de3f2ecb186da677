"""Evaluation of trained systems, with nothing written."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import (
  configs,
  data,
  evaluation,
  runs,
  trained,
  training,
)
from uncertainty_distill.evaluation.system import System
from uncertainty_distill.reports import (
  most_uncertain,
  predictions_evaluation,
  report_images,
  tables,
)


def described_by(
  paths: Sequence[str], argument: str
) -> configs.ExperimentConfig | None:
  """Returns the experiment of the first run folder, on the devices there are.

  Args:
    paths: Run folders or SavedModels.
    argument: What they were given as, for the message of an error.

  Returns:
    None if there are SavedModels alone.

  Raises:
    InputError: If a folder is neither.
  """
  described = [
    runs.open_run(path, argument).config
    for path in paths
    if not trained.is_saved_model(path)
  ]
  for config in described:
    # Where a run was trained says nothing of where it is evaluated.
    config.runtime = configs.ExperimentConfig().runtime
  return described[0] if described else None


def score(
  systems: Sequence[System],
  experiment: training.Experiment,
  shown: System | None = None,
) -> tuple[
  list[evaluation.Result],
  dict[str, tables.ModelSize],
  most_uncertain.MostUncertain | None,
]:
  """Evaluates systems, and finds the images that one is least sure of.

  Args:
    systems: What to evaluate, on the same clean and corrupted images.
    experiment: The experiment; its test set, batch and corruptions count.
    shown: That one of the systems; None for no images.

  Returns:
    The systems' results, their sizes by label, and the images, if `shown` is
    among the systems.

  Raises:
    InputError: If a system cannot be loaded or takes other images.
  """
  config, strategy = experiment.config, experiment.strategy
  dataset, sets = experiment.dataset, experiment.evaluation_sets
  stored = [s for s in systems if trained.are_predictions(s.paths, 'path')]
  results, sizes = predictions_evaluation.evaluate(stored, config, dataset)
  with strategy.scope():
    candidates, loaded_sizes = _load(
      [s for s in systems if s not in stored], sets.clean
    )
  sizes |= loaded_sizes
  found = None
  if candidates:
    evaluator = evaluation.Evaluator(
      candidates, config.task.validation_data.global_batch_size, strategy
    )
    results += evaluator.run(
      sets.clean,
      sets.shifts,
      source=sets.corrupted,
      out_of_distribution=sets.out_of_distribution,
    )
    found = report_images.most_uncertain_images(
      shown, candidates, evaluator, sets.clean
    )
  return results, sizes, found


def _load(systems: Sequence[System], dataset: data.ImageSource):
  """Returns systems as candidates, and their sizes by label."""
  candidates, sizes = [], {}
  for system in systems:
    ensemble = trained.load_ensemble(
      system.paths,
      'path',
      dataset.spec.image_shape,
      dataset.spec.num_classes,
      lambda: dataset.numpy(slice(32)),
    )
    candidates.append(
      evaluation.Candidate(system.label, system.seed, ensemble.model)
    )
    sizes[system.label] = tables.ModelSize(
      ensemble.ensemble_size, evaluation.count_parameters(ensemble.model)
    )
  return candidates, sizes
