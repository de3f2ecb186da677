"""Writes what TensorBoard shows of evaluated systems.

Beside what a run has written while it was trained, there are two folders:

  results/    the metrics of the paper's tables, with the hyper-parameters, so
              that HParams sorts systems by any of them; calibration on clean
              images
  corrupted/  metrics and pictures of the corrupted test sets

If a system is a single run inside the report's folder, the two are in the run's
own folder. Any other system, such as a run elsewhere, a deep ensemble of
several runs or a run that is scaled or merged, has the two in a folder LABEL or
LABEL/SEED of the report's folder. Each evaluation replaces the files of the
earlier one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from uncertainty_distill import configs, evaluation, metrics, trained, training
from uncertainty_distill.evaluation import System
from uncertainty_distill.io import files
from uncertainty_distill.reports import pictures, tables

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

_logger = logging.getLogger(__name__)

_RESULTS, _CORRUPTED = 'results', 'corrupted'
# The end of an event file's name until the file is complete.
_UNFINISHED = '.unfinished'
_CLEAN_PICTURE = 'reliability'


def are_written(system: System, directory: str) -> bool:
  """Returns whether a system's results for TensorBoard are complete.

  Args:
    system: The system.
    directory: The folder of the report.
  """
  # The files of this folder are written last.
  names = _event_files(os.path.join(_folder(system, directory), _RESULTS))
  return any(not name.endswith(_UNFINISHED) for name in names)


def discard(system: System, directory: str) -> None:
  """Removes a system's results for TensorBoard, if there are any.

  Args:
    system: The system.
    directory: The folder of the report.
  """
  folder = os.path.join(_folder(system, directory), _RESULTS)
  with _warning_where_unwritable(system, folder):
    _remove(folder, _event_files(folder))


def write_summaries(
  systems: Sequence[System],
  results: Sequence[evaluation.Result],
  directory: str,
) -> None:
  """Writes what TensorBoard shows of systems that are made of runs.

  A folder that cannot be written is left out with a warning, since the report
  has the same results.

  Args:
    systems: The systems; those that are not made of runs are left out.
    results: The results of these systems, and perhaps of others.
    directory: The folder of the report.
  """
  for system in systems:
    own = [r for r in results if r.key == system.key]
    parts = system.runs
    if not own or len(parts) < len(system.paths):
      continue
    folder = _folder(system, directory)
    with _warning_where_unwritable(system, folder):
      _write_corrupted(os.path.join(folder, _CORRUPTED), own, parts[0].run.step)
      _write_results(os.path.join(folder, _RESULTS), own, parts)


@contextlib.contextmanager
def _warning_where_unwritable(system: System, folder: str) -> Iterator[None]:
  """Turns the error of a folder that cannot be written into a warning."""
  try:
    yield
  except (OSError, tf.errors.OpError) as error:
    _logger.warning(
      f'TensorBoard will not show the results of {system.label}: '
      f'{folder} cannot be written ({type(error).__name__}).'
    )


def _folder(system: System, directory: str) -> str:
  """Returns the folder that holds a system's summaries.

  Nothing is written to the folder of a run outside of the report's folder.
  """
  first, *others = system.paths
  if others:
    return os.path.join(directory, system.label)
  is_inside = files.is_within(files.absolute(first), files.absolute(directory))
  # A run's own folder is for results that are neither scaled nor merged.
  if is_inside and not system.scaled and not system.merged:
    return first
  return os.path.join(directory, system.key)


def _event_files(folder: str) -> list[str]:
  """Returns the names of a folder's event files, unfinished ones included."""
  names = files.names(folder) if files.is_folder(folder) else []
  return [name for name in names if 'tfevents' in name]


def _remove(folder: str, names: Sequence[str]) -> None:
  for name in names:
    files.remove(os.path.join(folder, name))


@contextlib.contextmanager
def _event_file(folder: str, step: int) -> Iterator[None]:
  """Writes summaries to a folder in place of those of an earlier evaluation."""
  earlier = _event_files(folder)
  writer = tf.summary.create_file_writer(
    folder, filename_suffix=f'.v2{_UNFINISHED}'
  )
  with contextlib.closing(writer), writer.as_default(step=step):
    yield
  _remove(folder, earlier)
  for name in _event_files(folder):
    path = os.path.join(folder, name)
    files.rename(path, path.removesuffix(_UNFINISHED))


def _write_results(
  folder: str,
  results: Sequence[evaluation.Result],
  parts: Sequence[trained.Run],
) -> None:
  """Writes a system's hyper-parameters and the main table's metrics."""
  with _event_file(folder, parts[0].run.step):
    # A trial without a name of its own has that of its folder. TensorBoard
    # gathers the values to choose from out of the trials that it finds.
    hparams.hparams(
      {'System': results[0].model, **_hyperparameters(parts)}, trial_id=''
    )
    for name, value in evaluation.summary(results).items():
      if name in tables.COLUMNS:
        # TensorBoard sorts names; corrupted images are to come first.
        is_corrupted = name.startswith(metrics.CORRUPTED)
        full_name = name if is_corrupted else f'clean_{name}'
        tf.summary.scalar(
          f'{_RESULTS}/{full_name}',
          value,
          description=metrics.metric_spec(name).description,
        )
    _write_calibration([r for r in results if not r.shift.severity])
    only_clean = not any(result.shift.severity for result in results)
    for picture in pictures.available_pictures(results):
      if only_clean or picture.name == _CLEAN_PICTURE:
        _write_picture(picture)


def _write_corrupted(
  folder: str, results: Sequence[evaluation.Result], step: int
) -> None:
  """Writes a system's metrics on corrupted images, and their pictures."""
  corrupted = [r for r in results if r.shift.severity]
  if not corrupted:
    _remove(folder, _event_files(folder))  # An earlier evaluation's.
    return
  with _event_file(folder, step):
    for name, value in evaluation.summary(corrupted).items():
      training.write_scalar(name.removeprefix(metrics.CORRUPTED), value)
    _write_calibration(corrupted)
    for picture in pictures.available_pictures(results):
      if picture.name != _CLEAN_PICTURE:
        _write_picture(picture)


def _write_calibration(results: Sequence[evaluation.Result]) -> None:
  """Writes histograms of the confidence of all predictions of some results."""
  if results:
    training.write_confidence(
      np.sum([r.bin_count for r in results], axis=0),
      np.sum([r.bin_correct for r in results], axis=0),
    )


def _write_picture(picture: pictures.Picture) -> None:
  tf.summary.image(
    training.tag(picture.name),
    picture.pixels()[None],
    description=picture.caption,
  )


def _hyperparameters(parts: Sequence[trained.Run]) -> dict[str, Any]:
  """Returns the values that all runs of a system share, by field names."""
  first, *others = [_scalars(part.run.config) for part in parts]
  values = {
    name: value
    for name, value in first.items()
    if all(other.get(name) == value for other in others)
  }
  values['model.ensemble_size'] = sum(part.ensemble_size for part in parts)
  return values


def _scalars(config: configs.ExperimentConfig) -> dict[str, Any]:
  """Returns what HParams shows of a run, by names without `task.`."""
  task, trainer = config.task, config.trainer
  objective = task.objective
  start = 'random'
  if task.initialize_from:
    start = 'aligned networks' if task.initialize_aligned else 'networks'
  taught = objective.uses_teacher
  values = {
    'objective.kind': objective.kind,
    # TensorBoard draws only trials that have a value of everything it draws.
    'objective.weight': objective.weight if taught else 0.0,
    'objective.weight_tie': objective.weight_tie,
    'objective.label_smoothing': objective.label_smoothing,
    **{
      f'model.{name}': value
      for name, value in task.model.architecture.get().as_dict().items()
    },
    'model.ensemble_size': task.model.ensemble_size,
    'model.rank': task.model.rank,
    'initial_weights': start,
    'train_data.name': task.train_data.name,
    'train_data.global_batch_size': task.train_data.global_batch_size,
    'trainer.epochs': trainer.epochs,
    'trainer.base_learning_rate': trainer.base_learning_rate,
    'seed': task.seed,
  }
  if taught:
    values['objective.temperature'] = objective.temperature
  if task.block_l2:
    values |= {f'block_l2.{i}': l2 for i, l2 in enumerate(task.block_l2)}
  else:
    values['l2'] = task.l2
  return values
