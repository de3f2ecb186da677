"""Evaluation of trained systems, kept, reported and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
import os

import tensorflow as tf
from uncertainty_distill import configs
from uncertainty_distill import data
from uncertainty_distill import evaluation
from uncertainty_distill import files
from uncertainty_distill import runs
from uncertainty_distill import teachers
from uncertainty_distill import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.workflow import checks
from uncertainty_distill.workflow import provenance
from uncertainty_distill.workflow import stored_predictions
from uncertainty_distill.workflow.systems import System

RESULTS_FILE = 'results.json'
# What `results.json` was made from, so that only what changed is made again.
SYSTEMS_FILE = 'systems.json'


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
      if not teachers.is_saved_model(path)
  ]
  for config in described:
    # Where a run was trained says nothing of where it is evaluated.
    config.runtime = configs.ExperimentConfig().runtime
  return described[0] if described else None


def assess(
    systems: Sequence[System],
    config: configs.ExperimentConfig,
    strategy: tf.distribute.Strategy,
    directory: str,
    title: str,
) -> str:
  """Evaluates systems, writes the report, and returns its table.

  A system that is as it was when the directory's results were made is not
  evaluated again.

  Args:
    systems: What to evaluate, on the same clean and corrupted images.
    config: Resolved; its test set, batch and corruptions count.
    strategy: The devices; of several workers the chief writes.
    directory: Where the report goes: `report.md`, CSV, JSON and `plots/`.
    title: Of the report.

  Returns:
    A Markdown table.

  Raises:
    InputError: If a system cannot be loaded or takes other images.
  """
  is_chief = workers.is_chief(strategy)
  if is_chief:
    runs.make_writable(directory, '--output_dir')
  made_from = {s.key: provenance.fingerprint(s.paths, config) for s in systems}
  kept, known = _read_kept(directory, made_from)
  # All workers have read before the chief writes.
  if len(workers.gather(strategy, len(known))) > 1:
    raise InputError(
        '--output_dir', directory, 'a folder that all workers share'
    )
  pending = [system for system in systems if system.key not in known]
  fresh, sizes = (
      score(pending, config, strategy) if pending else ([], {})
  )
  kept_sizes = {s.label: known[s.key] for s in systems if s.key in known}
  sizes = {**kept_sizes, **sizes}
  order = [(system.label, system.seed) for system in systems]
  results = sorted(
      kept + fresh, key=lambda r: (order.index((r.model, r.seed)), r.shift)
  )
  rows = evaluation.aggregate_models(results)
  if is_chief:
    evaluation.write_report(
        directory, title, rows, results,
        provenance.provenance(config, strategy, results), sizes,
    )
    _write_systems(directory, systems, made_from, sizes)
    _write_corrupted_summaries(systems, fresh)
  return evaluation.table(rows, sizes)


def _write_systems(
    directory: str,
    systems: Sequence[System],
    made_from: Mapping[str, list[str]],
    sizes: Mapping[str, evaluation.ModelSize],
) -> None:
  """Notes what the results beside it were made from; see `_read_kept`."""
  entries = {
      system.key: {
          'made_from': made_from[system.key],
          **dataclasses.asdict(sizes[system.label]),
      }
      # Of a teacher's stored predictions there may be no results.
      for system in systems if system.label in sizes
  }
  files.write_text(
      os.path.join(directory, SYSTEMS_FILE), json.dumps(entries, indent=1)
  )


def _read_kept(
    directory: str, made_from: Mapping[str, list[str]]
) -> tuple[list[evaluation.Result], dict[str, evaluation.ModelSize]]:
  """Returns the results that still hold, and the sizes of their systems."""
  try:
    entries = json.loads(
        files.read_text(os.path.join(directory, SYSTEMS_FILE))
    )
    results, _ = evaluation.read_json(os.path.join(directory, RESULTS_FILE))
    known = {
        key: evaluation.ModelSize(entry['members'], entry['parameters'])
        for key, entry in entries.items()
        if entry['made_from'] == made_from.get(key)
    }
  except (OSError, ValueError, KeyError, TypeError, AttributeError):
    return [], {}  # None yet, or unreadable: everything is made again.
  return [
      r for r in results if System(r.model, r.seed, ()).key in known
  ], known


def score(
    systems: Sequence[System],
    config: configs.ExperimentConfig,
    strategy: tf.distribute.Strategy,
) -> tuple[list[evaluation.Result], dict[str, evaluation.ModelSize]]:
  """Evaluates systems, and writes nothing.

  Args:
    systems: As for `assess`.
    config: As for `assess`.
    strategy: The devices.

  Returns:
    The systems' results, and their sizes by label.

  Raises:
    InputError: If a system cannot be loaded or takes other images.
  """
  train_data = config.task.train_data
  dataset = data.load_dataset(
      train_data.name, 'test', train_data.data_dir, tuple(train_data.classes)
  ).take(config.task.validation_data.num_examples)
  stored = [s for s in systems if teachers.are_predictions(s.paths, '--run')]
  results, sizes = stored_predictions.evaluate(stored, config)
  candidates = []
  with strategy.scope():
    for system in (s for s in systems if s not in stored):
      ensemble = teachers.load_ensemble(
          system.paths,
          '--run',
          dataset.spec.image_shape,
          dataset.spec.num_classes,
          lambda: dataset.images,
      )
      candidates.append(
          evaluation.Candidate(system.label, system.seed, ensemble.model)
      )
      sizes[system.label] = evaluation.ModelSize(
          ensemble.ensemble_size, evaluation.count_parameters(ensemble.model)
      )
  if candidates:
    results += evaluation.evaluate(
        candidates,
        dataset,
        checks.parse_shifts(config.evaluation),
        config.task.validation_data.global_batch_size,
        strategy,
        source=checks.open_source(config, dataset),
        foreign=checks.load_foreign(config),
    )
  return results, sizes


def _write_corrupted_summaries(
    systems: Sequence[System], results: Sequence[evaluation.Result]
) -> None:
  """Writes runs' mean corrupted figures and their pictures for TensorBoard."""
  for system in systems:
    path, *more = system.paths
    name = system.label, system.seed
    own = [r for r in results if (r.model, r.seed) == name]
    if more or not own or not runs.is_run(path):
      continue
    directory = os.path.join(path, 'corrupted')
    step = runs.open_run(path, '--run').step
    with tf.summary.create_file_writer(directory).as_default(step=step):
      for figure, value in evaluation.summary(own).items():
        if figure.startswith('c_'):
          tf.summary.scalar(figure.removeprefix('c_'), value)
      for picture in evaluation.available_pictures(own):
        tf.summary.image(
            picture.name, picture.pixels()[None], description=picture.caption
        )
