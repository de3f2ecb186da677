"""What the commands do at the end: evaluate, export, print the output paths."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence

from uncertainty_distill import (
  evaluation,
  exporting,
  reports,
  runs,
  training,
)
from uncertainty_distill.baselines.cifar import console
from uncertainty_distill.distribution import workers
from uncertainty_distill.io import locks

from absl import flags

_logger = logging.getLogger(__name__)


def check(
  systems: Sequence[evaluation.System],
  experiment: training.Experiment,
  model_dir: str,
) -> None:
  """Finds mistakes in what comes after training, before training.

  Raises:
    InputError: If --mode asks for a report that cannot be written.
  """
  if flags.FLAGS.mode != 'train':
    reports.check_folder(model_dir, 'model_dir')
    evaluation.with_baseline(systems, experiment)


def evaluate(
  systems: Sequence[evaluation.System],
  experiment: training.Experiment,
  directory: str,
  title: str,
) -> None:
  """Evaluates systems, writes the report and prints its table."""
  table = reports.assess(systems, experiment, directory, title)
  if experiment.is_chief:
    print(f'\n{table}\n')


def print_output_paths(
  directory: str, saved_model: str = '', has_report: bool = True
) -> None:
  """Prints commands to type next and, on the last lines, paths of results."""
  print(f'TensorBoard: tensorboard --logdir {shlex.quote(directory)}')
  if saved_model:
    folder = os.path.relpath(os.path.dirname(__file__))
    script = shlex.quote(os.path.join(folder, 'predict.py'))
    predict = console.command_line('predict', f'python {script}')
    print(f'Predict: {predict} --model={shlex.quote(saved_model)} IMAGE...')
    print(f'SavedModel: {saved_model}')
  if has_report:
    print_report_path(directory)


def print_report_path(directory: str) -> None:
  """Prints where the report is."""
  print(f'Report: {os.path.join(directory, reports.REPORT_PAGE)}')


def evaluate_and_export(
  systems: Sequence[evaluation.System],
  experiment: training.Experiment,
  model_dir: str,
  title: str,
) -> None:
  """Evaluates and exports a trained run, as --mode asks.

  Without systems, the report is left as it is.
  """
  mode = flags.FLAGS.mode
  if mode == 'eval':
    _warn_of_difference(experiment, model_dir)
  with locks.lock_folder(model_dir, 'model_dir', experiment.is_chief):
    if mode != 'train' and systems:
      evaluate(systems, experiment, model_dir, title)
    if experiment.is_chief:
      saved_model = ''
      if mode != 'eval':
        saved_model = os.path.join(model_dir, exporting.SAVED_MODEL)
        exporting.export([model_dir], saved_model)
      print_output_paths(model_dir, saved_model, has_report=mode != 'train')
  # Workers end together, or fail together.
  workers.wait(experiment.strategy)


def _warn_of_difference(experiment: training.Experiment, model_dir: str):
  """Warns if a run is evaluated as it was not trained, by mistake perhaps."""
  trained = runs.open_run(model_dir, 'model_dir').config
  if not experiment.config.task.objective.teacher:
    experiment = experiment.with_teacher(trained.task.objective.teacher)
  found = runs.difference(model_dir, experiment.config)
  if found:
    name, old, new = found
    _logger.warning(
      f'{model_dir} was trained with {name}={old!r}; it is evaluated with '
      f'{new!r}, as this command says'
    )
