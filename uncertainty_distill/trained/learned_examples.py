"""Finds the training examples of a dataset that a model has learned."""

from __future__ import annotations

from uncertainty_distill import configs, data, runs
from uncertainty_distill.io import files
from uncertainty_distill.trained.trained_model import Run, TrainedModel

import numpy as np

# The settings that decide how the training examples are numbered.
_NUMBERED_BY = (
  'classes',
  'train_split',
  'test_from_training',
  'test_fraction',
)


def learned_rows(
  model: TrainedModel, dataset: data.Dataset, own: configs.TrainDataConfig
) -> np.ndarray:
  """Returns the training examples that a model has, or may have, learned.

  Args:
    model: The model. What the runs that its weights started from have learned
      counts, too. SavedModels and stored predictions are assumed to have
      learned nothing, since it is unknown what they were trained on.
    dataset: The dataset.
    own: The settings that the dataset was opened with.

  Returns:
    The rows of `dataset.train`, integers [N], in ascending order.
  """
  rows = np.arange(0)
  for part in with_initial_networks(model):
    if part.config is not None and _is_of(part, dataset, own):
      theirs = part.config.task.train_data
      rows = np.union1d(rows, _rows(dataset, own, theirs))
  return rows


def with_initial_networks(model: TrainedModel) -> list[TrainedModel]:
  """Returns a model's parts, and the runs that their weights started from.

  Runs that are no longer there are left out.
  """
  found = {part.paths: part for part in model.parts}
  waiting = list(found.values())
  while waiting:
    config = waiting.pop().config
    for path in config.task.initialize_from if config else ():
      if (path,) not in found and runs.is_run(path):
        name = 'task.initialize_from'
        found[path,] = Run(runs.open_run(path, name), name)
        waiting.append(found[path,])
  return list(found.values())


def _is_of(part, dataset, own) -> bool:
  """Returns whether a run has learned from a dataset."""
  theirs = part.config.task.train_data
  if own.name in (theirs.name, theirs.unlabeled):
    return True
  # A copy of a file has another path, but the same content.
  noted = runs.noted_training_data(part.run) if isinstance(part, Run) else ''
  return bool(noted) and noted == dataset.train.fingerprint


def _rows(dataset, own, theirs) -> np.ndarray:
  """Returns the rows of a dataset that were learned with other settings."""
  count = len(dataset.train)
  # It has no effect on other datasets.
  of_folders = ['skip_broken'] if files.is_folder(own.name) else []
  names = *_NUMBERED_BY, *of_folders
  if any(getattr(own, name) != getattr(theirs, name) for name in names):
    return np.arange(count)  # Numbered differently: any may be learned.
  if theirs.unlabeled_overlaps or own.name == theirs.unlabeled != theirs.name:
    return np.arange(count)
  training, _ = data.open_training(dataset, theirs)
  first = theirs.num_examples or count
  return np.union1d(training.rows, np.arange(first, theirs.num_shown(count)))
