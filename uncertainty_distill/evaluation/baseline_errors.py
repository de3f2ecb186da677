"""Finds the error rates of the baseline of corruption errors."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, data, training
from uncertainty_distill.data import corruptions
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import corruption_error, results
from uncertainty_distill.evaluation.system import System
from uncertainty_distill.io import archives, files

import numpy as np

# The label of a baseline that is evaluated with a report's systems.
BASELINE = 'mce_baseline'
_NAME = 'evaluation.mce_baseline'


def with_baseline(
  systems: Sequence[System], experiment: training.Experiment
) -> list[System]:
  """Returns the systems, and the baseline if it must be evaluated with them.

  Called before training, it finds mistakes that would cost the report.

  Args:
    systems: The systems of a report, which need not be trained yet.
    experiment: The experiment. Its `evaluation.mce_baseline` is empty, the
      label of a system, or a path.

  Raises:
    InputError: If `evaluation.mce_baseline` is neither the label of a system
      nor a path that exists, if a file cannot be read as `read_errors` says, or
      if the baseline has no results on corrupted images.
  """
  name = experiment.config.evaluation.mce_baseline
  labels = list(dict.fromkeys(system.label for system in systems))
  if not name:
    return list(systems)
  if name in labels:
    if any(system.is_stored for system in systems if system.label == name):
      raise InputError(
        _NAME, name, 'a system whose predictions of corrupted images are known'
      )
    return list(systems)
  if not configs.is_baseline_path(name):
    raise InputError(
      _NAME,
      name,
      f'one of {", ".join(labels)}, or a path: a run folder, a SavedModel, '
      'a results.json, or an .npz file of predictions',
      'write ./NAME for a folder in the working directory',
    )
  path, _ = _split(name)
  if not files.exists(path):
    raise InputError(_NAME, path, 'a path that exists')
  if path.endswith(('.npz', '.json')):
    errors = read_errors(experiment, ())
    corruption_error.check_baseline(experiment.evaluation_sets.shifts, errors)
    return list(systems)
  # It comes first, since a report may show the images of the last system.
  return [System(BASELINE, None, (name,)), *systems]


def read_errors(
  experiment: training.Experiment, known: Sequence[results.Result]
) -> corruption_error.Errors:
  """Returns the error rates of the baseline.

  Args:
    experiment: The experiment, whose `evaluation.mce_baseline` is set.
    known: The results of the systems that `with_baseline` returned.

  Raises:
    InputError: If a file does not have the form that docs/how_to/evaluation.md
      describes.
  """
  name = experiment.config.evaluation.mce_baseline
  if name.endswith('.npz'):
    return _of_predictions(name, experiment.evaluation_sets)
  path, label = _split(name)
  if path.endswith('.json'):
    known, _ = results.read_json(path)
    models = sorted({result.model for result in known})
    label = label or (models[0] if len(models) == 1 else '')
    if label not in models:
      raise InputError(
        _NAME, name, f'FILE:LABEL with one of the labels {", ".join(models)}'
      )
  else:
    label = BASELINE if configs.is_baseline_path(name) else name
  return corruption_error.error_rates([r for r in known if r.model == label])


def _split(name: str) -> tuple[str, str]:
  """Splits FILE.json:LABEL; the label of other names is empty."""
  path, found, label = name.partition('.json:')
  return (f'{path}.json', label) if found else (name, '')


def _of_predictions(
  path: str, sets: data.EvaluationSets
) -> dict[corruptions.Shift, float]:
  """Returns the error rates of stored predictions, by shift.

  They are those of the images that the systems are scored on, or of the first
  of these if fewer are stored.
  """
  labels, num_classes = sets.clean.labels, sets.clean.spec.num_classes
  try:
    arrays = archives.read_arrays(path)
  except (OSError, ValueError) as error:
    raise InputError(
      _NAME, path, f'an .npz file ({archives.reason(error)})'
    ) from error
  rates = {}
  for key, scores in arrays.items():
    count, *rest = scores.shape or (0,)
    if rest not in ([], [num_classes]) or not 0 < count <= len(labels):
      raise InputError(
        _NAME,
        f'{key} {list(scores.shape)} in {path}',
        f'classes [N] or scores [N, {num_classes}] of the first N of '
        f'{len(labels)} images',
      )
    shift = _shift(key)
    if shift.corruption:
      count = min(count, sets.num_corrupted)
    classes = scores if scores.ndim == 1 else np.argmax(scores, -1)
    rates[shift] = float(np.mean(classes[:count] != labels[:count]))
  return rates


def _shift(key: str) -> corruptions.Shift:
  """Parses the shift in an array's name, such as `clean` or `fog_3`."""
  if key == 'clean':
    return corruptions.CLEAN
  name, _, severity = key.rpartition('_')
  try:
    return corruptions.Shift(corruptions.Corruption.parse(name), int(severity))
  except ValueError as error:
    raise InputError(
      _NAME, key, 'a file of arrays with names such as clean, fog_1 and fog_5'
    ) from error
