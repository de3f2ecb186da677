"""Evaluation of trained systems, with a report of the results."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence

from uncertainty_distill import configs, evaluation, plots, runs, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import ResultCache, System
from uncertainty_distill.reports import (
  array_cache,
  corrupted_image,
  most_uncertain,
  paper,
  provenance,
  report,
  results_tensorboard,
  tables,
)

import numpy as np

# Evaluates systems in parts, each of which it hands on as it comes.
_Evaluate = Callable[
  [
    Sequence[System],
    training.Experiment,
    Callable[[evaluation.Evaluation], object],
  ],
  object,
]


def evaluate_at_once(
  systems: Sequence[System],
  experiment: training.Experiment,
  keep: Callable[[evaluation.Evaluation], object],
) -> None:
  """Evaluates systems together, in this process; see `assess`."""
  keep(evaluation.evaluate_systems(systems, experiment))


def assess(
  systems: Sequence[System],
  experiment: training.Experiment,
  directory: str,
  title: str,
  student: str = '',
  beside_paper: bool = True,
  evaluate: _Evaluate = evaluate_at_once,
) -> str:
  """Evaluates systems, writes the report, and returns its table.

  A system that is as it was when the directory's results were made is not
  evaluated again.

  Args:
    systems: The systems to evaluate, on the same clean and corrupted images.
    experiment: The experiment, whose test set, batch and corruptions count. Of
      several workers the chief writes.
    directory: The folder for the report: `report.html`, `report.md`, CSV, JSON
      and pictures.
    title: The heading of the report.
    student: The label of the system whose most uncertain images are shown, of
      several seeds the first; without one of this label, the last system.
    beside_paper: Whether to show the paper's values where the dataset is one
      of the paper's.
    evaluate: Evaluates the systems whose results are not known, and gives each
      part of the results to its last argument, which keeps them for good.

  Returns:
    A Markdown table.

  Raises:
    InputError: If a system cannot be loaded or takes other images, or if the
      baseline of corruption errors is not there.
  """
  systems = evaluation.with_baseline(systems, experiment)
  if experiment.is_chief:
    runs.make_writable(directory, 'output_dir')
  cache = ResultCache(directory, systems, experiment)
  shown = _choose_student(systems, student)
  images = _evaluate_missing(cache, experiment, directory, shown, evaluate)
  if experiment.is_chief:
    report.write_report(
      directory,
      title,
      cache.results,
      provenance.provenance(systems, experiment, cache.results),
      report.Additions(
        cache.sizes,
        _published(experiment.config) if beside_paper else {},
        (shown.heading, images) if shown else None,  # pyright: ignore[reportArgumentType]
        _corrupted_image(cache, experiment, directory),
        _baseline(cache, experiment),
        _cross_entropies(systems),
        _batch_ensembles(systems),
      ),
    )
    results_tensorboard.write_summaries(
      [
        system
        for system in systems
        if not results_tensorboard.are_written(system, directory)
      ],
      cache.results,
      directory,
    )
    # At last: what it lists has all that is made of it.
    cache.write()
  return tables.table(evaluation.aggregate_models(cache.results), cache.sizes)


def _evaluate_missing(
  cache: ResultCache,
  experiment: training.Experiment,
  directory: str,
  shown: System | None,
  evaluate: _Evaluate,
) -> most_uncertain.MostUncertain | None:
  """Evaluates the systems whose results or images are not known.

  Returns:
    The images that the system to show is most uncertain about.
  """
  images = shown and array_cache.read(
    most_uncertain.MostUncertain,
    directory,
    shown.key,
    functools.partial(cache.is_of, shown),
  )
  # Without its images, the system is evaluated to find them.
  missing = cache.missing(again=None if images else shown)
  # All workers have read before the chief writes.
  if len(workers.gather(experiment.strategy, len(missing))) > 1:
    raise InputError('output_dir', directory, 'a folder that all workers share')
  if missing:
    entropies: dict[str, np.ndarray] = {}

    def keep(found: evaluation.Evaluation) -> None:
      entropies.update(found.entropies)
      cache.add(found)
      if experiment.is_chief:
        # First, or a call that ends in between would leave those of before.
        keys = {result.key for result in found.results}
        for system in missing:
          if system.key in keys:
            results_tensorboard.discard(system, directory)
        cache.write_results()

    evaluate(missing, experiment, keep)
    if shown in missing:
      with experiment.strategy.scope():
        network = shown.model.ensemble()
      images = most_uncertain.find(
        network, experiment.evaluation_sets.clean, entropies[shown.key]
      )
  if shown and experiment.is_chief:
    # Also if they are known, in case that is by the times of checkpoints.
    array_cache.write(images, directory, shown.key, cache.made_from(shown))
  return images


def _cross_entropies(
  systems: Sequence[System],
) -> dict[str, tuple[float | None, list[float | None]]]:
  """Returns what tells underfitted systems from others, by their labels.

  Single networks are those of the same report, or else a student's teacher.
  """
  found, single = {}, []
  for system in systems:
    if system.merged or system.scaled:
      continue
    for part in system.runs:
      if part.ensemble_size > 1:
        found.setdefault(system.label, []).append(part.run)
      elif part.run.config.task.objective.kind == 'cross_entropy':
        single.append(part.run.training_cross_entropy)
  return {
    label: (
      _mean([run.training_cross_entropy for run in members]),
      single or training.teacher_cross_entropies(members[0]),
    )
    for label, members in found.items()
  }


def _batch_ensembles(systems: Sequence[System]) -> set[str]:
  """Returns the labels of the systems that are one BatchEnsemble each."""
  return {
    system.label
    for system in systems
    for part in system.runs
    if part.ensemble_size > 1
    and len(system.paths) == 1
    and part.run.config.task.model.ensemble_type == 'batch_ensemble'
  }


def _mean(values: Sequence[float | None]) -> float | None:
  """Returns the mean of numbers that are all known, or None."""
  known = [value for value in values if value is not None]
  return statistics.fmean(known) if len(known) == len(values) else None


def _choose_student(systems: Sequence[System], label: str) -> System | None:
  """Returns the system to show; None where none can be."""
  # Entropies at a temperature are in another order.
  models = [s for s in systems if not (s.is_stored or s.scaled)]
  if not models:
    return None
  wanted = [s for s in models if s.label == label]
  wanted = wanted or [s for s in models if s.label == models[-1].label]
  return wanted[0]


def _corrupted_image(
  cache: ResultCache, experiment: training.Experiment, directory: str
) -> corrupted_image.CorruptedImage:
  """Returns a test image under the corruptions that are evaluated on."""
  kind, name = corrupted_image.CorruptedImage, 'corruptions'
  found = array_cache.read(kind, directory, name, cache.images.__eq__)
  if not found:
    sets = experiment.evaluation_sets
    found = corrupted_image.find(sets.corrupted, sets.shifts)
    array_cache.write(found, directory, name, cache.images)
  return found


def _baseline(
  cache: ResultCache, experiment: training.Experiment
) -> tuple[str, evaluation.Errors] | None:
  """Returns the name and the error rates of the baseline, if there is one."""
  name = experiment.config.evaluation.mce_baseline
  if not name:
    return None
  errors = evaluation.read_errors(experiment, cache.results)
  shown = name if configs.is_baseline_path(name) else plots.display_name(name)
  return shown, errors


def _published(
  config: configs.ExperimentConfig,
) -> Mapping[str, evaluation.Aggregate]:
  """Returns what the paper reports of the experiment's dataset."""
  train_data = config.task.train_data
  if train_data.classes or train_data.name not in (paper.load_paper_tables()):
    return {}
  return paper.paper_rows(train_data.name)
