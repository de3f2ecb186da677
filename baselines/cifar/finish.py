"""How the commands that train and evaluate end: report, export, last words."""

from __future__ import annotations

import os
from collections.abc import Sequence

from uncertainty_distill import (
  configs,
  evaluation,
  exporting,
  reports,
  training,
)
from uncertainty_distill.distribution import workers

import tensorflow as tf
from absl import flags

REPORT = 'report.html'


def report(
  systems: Sequence[evaluation.System],
  config: configs.ExperimentConfig,
  strategy: tf.distribute.Strategy,
  directory: str,
  title: str,
) -> None:
  """Evaluates systems, writes the report and prints its table."""
  table = reports.assess(
    systems, training.resolve(config), strategy, directory, title
  )
  if workers.is_chief(strategy):
    print(f'\n{table}\n')


def say_where(
  directory: str, saved_model: str = '', report_file: str = REPORT
) -> None:
  """Says what to type next, and last of all where the results are."""
  lines = {'TensorBoard': f'tensorboard --logdir {directory}'}
  if saved_model:
    folder = os.path.relpath(os.path.dirname(__file__))
    here = os.path.join(folder, 'predict.py')
    lines['Predict'] = f'python {here} --model={saved_model} IMAGE...'
    lines['SavedModel'] = saved_model
  if report_file:
    lines['Report'] = os.path.join(directory, report_file)
  for name, text in lines.items():
    print(f'{name}: {text}')


def conclude(
  systems: Sequence[evaluation.System],
  config: configs.ExperimentConfig,
  strategy: tf.distribute.Strategy,
  model_dir: str,
  title: str,
) -> None:
  """Does what --mode asks for once a run is trained: reports, exports."""
  evaluates, exports = flags.FLAGS.mode != 'train', flags.FLAGS.mode != 'eval'
  if evaluates:
    report(systems, config, strategy, model_dir, title)
  if workers.is_chief(strategy):
    saved_model = os.path.join(model_dir, exporting.SAVED_MODEL)
    if exports:
      exporting.export([model_dir], saved_model)
    say_where(
      model_dir, saved_model if exports else '', REPORT if evaluates else ''
    )
  # Whoever starts the workers sees them end together, or fail together.
  workers.wait(strategy)
