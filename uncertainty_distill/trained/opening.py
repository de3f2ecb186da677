"""Opens the trained models that are at some paths."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files
from uncertainty_distill.trained import saved_models, stored_predictions
from uncertainty_distill.trained.trained_model import (
  Members,
  MergedRun,
  Run,
  SavedModel,
  StoredPredictions,
  TrainedModel,
)

# The endings of the files of other libraries' models.
_OTHER_FILES = ('.keras', '.h5', '.hdf5', '.pt', '.pth', '.ckpt', '.onnx')


def open_trained(paths: Sequence[str], name: str) -> TrainedModel:
  """Opens trained models; several models form a deep ensemble.

  Only this function finds out what kind of model is at a path.

  Args:
    paths: Folders of complete runs and SavedModels, or only `.npz` files of
      stored predictions.
    name: The parameter that gave the paths, for error messages.

  Raises:
    InputError: If there is no path, if there is no trained model at a path, or
      if models and stored predictions are mixed.
  """
  if not paths:
    raise InputError(name, list(paths), 'at least one trained model')
  stored = [stored_predictions.is_predictions(path) for path in paths]
  if all(stored):
    return StoredPredictions(paths, name)
  if any(stored):
    raise InputError(
      name,
      paths[stored.index(False)],
      'stored predictions (.npz) like the others, because predictions and '
      'models cannot be mixed',
    )
  parts = [_open_model(path, name) for path in paths]
  return parts[0] if len(parts) == 1 else Members(parts, name)


def merge_members(model: TrainedModel) -> MergedRun:
  """Merges the members of a run's BatchEnsemble into one plain network.

  Raises:
    InputError: If the model is not a single run of a BatchEnsemble, if its
      members have norms of their own, or if they began with random signs, whose
      mean is about 0.
  """
  if not isinstance(model, Run):
    raise InputError(
      model.name,
      ', '.join(model.paths),
      'the folder of one run of a BatchEnsemble',
    )
  check_mergeable(model.run.config.task.model, model.name, model.paths[0])
  return MergedRun(model.run, model.name)


def check_mergeable(config: configs.ModelConfig, name: str, value: str) -> None:
  """Raises an InputError unless a model's members can be merged into one.

  Args:
    config: The model.
    name: The name of what gave the model, such as a flag.
    value: The value that was given, such as the run folder.
  """
  expected = 'a BatchEnsemble'
  if config.ensemble_type != 'batch_ensemble':
    raise InputError(name, value, expected, f'{value} is a Hydra')
  if config.ensemble_size == 1:
    hint = f'{value} has only one member, so it is already a plain network'
    raise InputError(name, value, expected, hint)
  if config.norm == 'member':
    raise InputError(
      name,
      value,
      'a BatchEnsemble whose members share their norms',
      'train it with task.model.norm=shared',
    )
  if 'signs' in config.fast_weights:
    raise InputError(
      name,
      value,
      'a BatchEnsemble whose members have a useful mean',
      'train it with task.model.fast_weights=ones',
      message=f'the members of {value} began with random signs, whose mean is '
      'about 0: to merge the members, train with task.model.fast_weights=ones',
    )


def _open_model(path: str, name: str) -> TrainedModel:
  """Opens a run folder or a SavedModel."""
  if saved_models.is_saved_model(path):
    return SavedModel(path, name)
  is_folder = files.is_folder(path)
  if not is_folder and (path.endswith(_OTHER_FILES) or files.is_file(path)):
    raise InputError(
      name,
      path,
      'a run folder, a SavedModel or an .npz of stored predictions',
      'export it with model.export(FOLDER) in Keras, or store its predictions '
      '(docs/teachers.md)',
    )
  if is_folder and not runs.is_run(path):
    raise InputError(
      name,
      path,
      f'a run folder, which has {runs.PARAMS_FILE}, or a SavedModel, which has '
      f'{saved_models.GRAPH_FILE}',
      'this folder is neither',
    )
  run = runs.open_run(path, name)
  if not run.is_complete:
    raise InputError(name, path, 'a run whose training is complete', run.state)
  return Run(run, name)
