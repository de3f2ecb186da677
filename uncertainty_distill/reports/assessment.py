"""Evaluation of trained systems, with a report of the results."""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
from collections.abc import Callable, Mapping, Sequence

from uncertainty_distill import configs, evaluation, plots, runs, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import ResultCache, System
from uncertainty_distill.io import files
from uncertainty_distill.reports import (
  array_cache,
  corrupted_image,
  html_page,
  most_uncertain,
  paper,
  provenance,
  report,
  results_tensorboard,
  tables,
)

import numpy as np

# Evaluates systems in parts, and hands on each part when it is done.
_Evaluate = Callable[
  [
    Sequence[System],
    training.Experiment,
    Callable[[evaluation.Evaluation], object],
  ],
  object,
]


# The largest size in bytes of weights that are loaded together, if they are of
# several models. All share each image, but also one memory.
_MOST_WEIGHTS = 2 << 30

# Files of a report that others may have, too, and those that tell that a folder
# is of this package.
_COMMON_NAMES = 'results.csv', 'results.json', 'summary.json', 'report.md'
_OWN_FILES = 'systems.json', html_page.REPORT_PAGE, runs.PARAMS_FILE


def evaluate_at_once(
  systems: Sequence[System],
  experiment: training.Experiment,
  keep: Callable[[evaluation.Evaluation], object],
) -> None:
  """Evaluates systems in this process, many together; see `assess`."""
  parts: list[list[System]] = [[]]
  total = 0
  for group in evaluation.by_runs(systems):
    size = group[0].model.weights_size
    if parts[-1] and total + size > _MOST_WEIGHTS:
      parts.append([])
      total = 0
    parts[-1] += group
    total += size
  for part in parts:
    if len(parts) > 1:
      # Copies open models of their own, which are freed with them.
      part = [dataclasses.replace(system) for system in part]
    keep(evaluation.evaluate_systems(part, experiment))


def assess(
  systems: Sequence[System],
  experiment: training.Experiment,
  directory: str,
  title: str,
  student: str = '',
  beside_paper: bool = True,
  evaluate: _Evaluate = evaluate_at_once,
  devices: str = '',
) -> str:
  """Evaluates systems, writes the report, and returns its table.

  A system is not evaluated again if it has not changed since the directory's
  results were made.

  Args:
    systems: The systems to evaluate, on the same clean and corrupted images.
    experiment: The experiment, which gives the test set, the batch size and the
      corruptions. If there are several workers, only the chief writes.
    directory: The folder for the report: `report.html`, `report.md`, CSV, JSON
      and pictures.
    title: The heading of the report.
    student: The label of the system whose most uncertain images are shown. If
      no system has it, the last system's label is used. Of several seeds, the
      first is shown.
    beside_paper: Whether to show the paper's values if the paper uses the
      dataset.
    evaluate: The function that evaluates the systems whose results are not
      known. It passes each part of the results to its last argument, which
      saves them.
    devices: What evaluates, in words; by default the experiment's devices.

  Returns:
    A Markdown table.

  Raises:
    InputError: If a system cannot be loaded or takes other images, if the
      baseline of corruption errors is missing, or if the folder has files of
      others with the names of a report's.
  """
  systems = evaluation.with_baseline(systems, experiment)
  check_folder(directory)
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
      provenance.provenance(systems, experiment, cache.results, devices),
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
    # Last: everything that is made from the listed systems must exist.
    cache.save_systems()
  return tables.table(evaluation.aggregate_models(cache.results), cache.sizes)


def check_folder(directory: str, name: str = 'output_dir') -> None:
  """Raises an InputError if a report would overwrite files of others.

  Args:
    directory: The folder of the report.
    name: The parameter that gave the folder, for error messages.
  """
  has = {
    name: files.exists(os.path.join(directory, name))
    for name in (*_OWN_FILES, *_COMMON_NAMES)
  }
  foreign = [name for name in _COMMON_NAMES if has[name]]
  if foreign and not any(has[name] for name in _OWN_FILES):
    raise InputError(
      name,
      directory,
      'a new folder, or one with a report of this package',
      f'{foreign[0]} in it would be lost',
    )


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
  # A system whose images are not known is evaluated to find them.
  if shown and not images:
    cache.forget(shown)
  missing = cache.missing()
  # All workers must have read before the chief writes.
  if len(workers.gather(experiment.strategy, len(missing))) > 1:
    raise InputError('output_dir', directory, 'a folder that all workers share')
  if missing:
    entropies: dict[str, np.ndarray] = {}

    def keep(found: evaluation.Evaluation) -> None:
      entropies.update(found.entropies)
      cache.add(found)
      if experiment.is_chief:
        # First: if the call ended in between, TensorBoard would keep showing
        # the earlier results.
        keys = {result.key for result in found.results}
        for system in missing:
          if system.key in keys:
            results_tensorboard.discard(system, directory)
        cache.save()

    evaluate(missing, experiment, keep)
    if shown in missing:
      with experiment.strategy.scope():
        network = shown.model.ensemble()
      images = most_uncertain.find(
        network, experiment.evaluation_sets.clean, entropies[shown.key]
      )
  if shown and experiment.is_chief:
    # Known images are also written: their file may be an older one, which notes
    # the times of checkpoints in place of fingerprints.
    array_cache.write(images, directory, shown.key, cache.made_from(shown))
  return images


def _cross_entropies(
  systems: Sequence[System],
) -> dict[str, tuple[float | None, list[float | None]]]:
  """Returns the cross-entropies that reveal underfitted systems, by label.

  The single networks are those of the same report or, if it has none, those of
  the system's teacher.
  """
  found, single = {}, []
  for system in systems:
    if system.merged or system.scaled or system.label == evaluation.BASELINE:
      continue
    for part in system.runs:
      if part.ensemble_size > 1:
        found.setdefault(system.label, []).append(part.run)
      elif not part.run.config.task.objective.uses_teacher:
        single.append(part.run.training_cross_entropy)
  return {
    label: (
      _mean([run.training_cross_entropy for run in members]),
      single or training.teacher_cross_entropies(members[0]),
    )
    for label, members in found.items()
  }


def _batch_ensembles(systems: Sequence[System]) -> set[str]:
  """Returns the labels of the systems that are a single BatchEnsemble."""
  return {
    system.label
    for system in systems
    for part in system.runs
    if part.ensemble_size > 1
    and len(system.paths) == 1
    and part.run.config.task.model.ensemble_type == 'batch_ensemble'
    # Its members are meant to be merged.
    and not part.run.config.task.fast_weight_decay
  }


def _mean(values: Sequence[float | None]) -> float | None:
  """Returns the mean of numbers, or None if one of them is unknown."""
  known = [value for value in values if value is not None]
  return statistics.fmean(known) if len(known) == len(values) else None


def _choose_student(systems: Sequence[System], label: str) -> System | None:
  """Returns the system whose images to show; None if there is none."""
  # A temperature changes the order of the entropies.
  models = [s for s in systems if not (s.is_stored or s.scaled)]
  if not models:
    return None
  wanted = [s for s in models if s.label == label]
  wanted = wanted or [s for s in models if s.label == models[-1].label]
  return wanted[0]


def _corrupted_image(
  cache: ResultCache, experiment: training.Experiment, directory: str
) -> corrupted_image.CorruptedImage:
  """Returns a test image under the corruptions of the evaluation."""
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
  is_path = configs.is_baseline_path(name)
  if not is_path and name not in {result.model for result in cache.results}:
    return None  # No temperature fits the baseline, which a warning has said.
  errors = evaluation.read_errors(experiment, cache.results)
  shown = name if is_path else plots.display_name(name)
  return shown, errors


def _published(
  config: configs.ExperimentConfig,
) -> Mapping[str, evaluation.Aggregate]:
  """Returns what the paper reports on the experiment's dataset, if any."""
  train_data = config.task.train_data
  if train_data.classes or train_data.name not in (paper.load_paper_tables()):
    return {}
  return paper.paper_rows(train_data.name)
