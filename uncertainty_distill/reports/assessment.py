"""Evaluation of trained systems, kept, reported and exported."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping, Sequence

from uncertainty_distill import configs, evaluation, runs, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation.system import System
from uncertainty_distill.io import files
from uncertainty_distill.reports import (
  evaluating,
  paper,
  provenance,
  report,
  report_images,
  results_tensorboard,
  tables,
)

_logger = logging.getLogger(__name__)

RESULTS_FILE = 'results.json'
# What `results.json` was made from, so that only what changed is made again.
SYSTEMS_FILE = 'systems.json'


def assess(
  systems: Sequence[System],
  experiment: training.Experiment,
  directory: str,
  title: str,
  student: str = '',
  beside_paper: bool = True,
) -> str:
  """Evaluates systems, writes the report, and returns its table.

  A system that is as it was when the directory's results were made is not
  evaluated again.

  Args:
    systems: What to evaluate, on the same clean and corrupted images.
    experiment: The experiment; its test set, batch and corruptions count. Of
      several workers the chief writes.
    directory: Where the report goes: `report.html`, `report.md`, CSV, JSON and
      pictures.
    title: Of the report.
    student: The label of the system to show the least sure images of; where
      there is none of it, they are those of the last system. Of several seeds
      it is the first.
    beside_paper: Whether to show the paper's values where the dataset is one
      of the paper's.

  Returns:
    A Markdown table.

  Raises:
    InputError: If a system cannot be loaded or takes other images.
  """
  config, is_chief = experiment.config, experiment.is_chief
  if is_chief:
    runs.make_writable(directory, 'output_dir')
  made_from = {s.key: provenance.fingerprint(s.paths, config) for s in systems}
  shown = report_images.choose_student(systems, student)
  results, sizes, images, pending = _evaluate_changed(
    systems, experiment, directory, made_from, shown
  )
  rows = evaluation.aggregate_models(results)
  if is_chief:
    report.write_report(
      directory,
      title,
      rows,
      results,
      provenance.provenance(systems, config, experiment.strategy, results),
      sizes,
      _published(config) if beside_paper else {},
      (report_images.name_of(shown), images) if shown else None,
      report_images.find_corrupted_image(directory, experiment),
    )
    results_tensorboard.write_summaries(
      [
        system
        for system in systems
        if system in pending
        or not results_tensorboard.are_written(system, directory)
      ],
      results,
      directory,
    )
    # At last: what it lists has all that is made of it.
    _write_systems(directory, systems, made_from, sizes)
  return tables.table(rows, sizes)


def _evaluate_changed(systems, experiment, directory, made_from, shown):
  """Evaluates what is not as it was when the directory's results were made.

  Returns:
    All results in the systems' order, all sizes by label, the images that the
    system to show is least sure of, and the systems that were evaluated.
  """
  images = report_images.read_most_uncertain(directory, shown, made_from)
  # Without its images, the system is evaluated to find them.
  lacking = shown.key if shown and not images else None
  results, known = _read_kept(
    directory, {k: v for k, v in made_from.items() if k != lacking}
  )
  # All workers have read before the chief writes.
  if len(workers.gather(experiment.strategy, len(known))) > 1:
    raise InputError('output_dir', directory, 'a folder that all workers share')
  sizes = {s.label: known[s.key] for s in systems if s.key in known}
  pending = [system for system in systems if system.key not in known]
  if pending:
    fresh, fresh_sizes, found = evaluating.score(pending, experiment, shown)
    results, sizes = results + fresh, sizes | fresh_sizes
    images = found or images
    if experiment.is_chief:
      report_images.write_most_uncertain(directory, shown, made_from, found)
  return _in_order(systems, results), sizes, images, pending


def _in_order(
  systems: Sequence[System], results: Sequence[evaluation.Result]
) -> list[evaluation.Result]:
  order = [(system.label, system.seed) for system in systems]
  return sorted(
    results, key=lambda r: (order.index((r.model, r.seed)), r.shift)
  )


def _write_systems(
  directory: str,
  systems: Sequence[System],
  made_from: Mapping[str, list[str]],
  sizes: Mapping[str, tables.ModelSize],
) -> None:
  """Notes what the results beside it were made from; see `_read_kept`."""
  entries = {
    system.key: {
      'made_from': made_from[system.key],
      **dataclasses.asdict(sizes[system.label]),
    }
    # Of a teacher's stored predictions there may be no results.
    for system in systems
    if system.label in sizes
  }
  files.write_text(
    os.path.join(directory, SYSTEMS_FILE), json.dumps(entries, indent=1)
  )


def _read_kept(
  directory: str, made_from: Mapping[str, list[str]]
) -> tuple[list[evaluation.Result], dict[str, tables.ModelSize]]:
  """Returns the results that still hold, and the sizes of their systems."""
  systems, records = (
    os.path.join(directory, name) for name in (SYSTEMS_FILE, RESULTS_FILE)
  )
  if not files.is_file(systems) or not files.is_file(records):
    return [], {}
  path = systems
  try:
    entries = json.loads(files.read_text(systems))
    known = {
      key: tables.ModelSize(entry['members'], entry['parameters'])
      for key, entry in entries.items()
      if entry['made_from'] == made_from.get(key)
    }
    path = records
    results, _ = evaluation.read_json(records)
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    _logger.warning(
      f'{path} is damaged ({error.__cause__ or error}): all systems are '
      'evaluated again'
    )
    return [], {}
  return [r for r in results if System(r.model, r.seed, ()).key in known], known


def _published(
  config: configs.ExperimentConfig,
) -> Mapping[str, evaluation.Aggregate]:
  """Returns what the paper reports of the experiment's dataset."""
  train_data = config.task.train_data
  if train_data.classes or train_data.name not in (paper.load_paper_tables()):
    return {}
  return paper.paper_rows(train_data.name)
