"""What results are of, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import platform
import sys

import tensorflow as tf
from uncertainty_distill import configs
from uncertainty_distill import evaluation
from uncertainty_distill import files
from uncertainty_distill import runs
from uncertainty_distill import teachers
from uncertainty_distill import train_lib
from uncertainty_distill.workflow import checks


def fingerprint(
    paths: Sequence[str], config: configs.ExperimentConfig
) -> list[str]:
  """Says which weights, on which images, a system's results are of.

  Args:
    paths: The system's run folders, SavedModels or stored predictions.
    config: Resolved; its test set and corruptions count.
  """
  train_data = config.task.train_data
  marks = [
      f'{train_data.name}:{config.task.validation_data.num_examples}',
      f'classes:{",".join(map(str, train_data.classes)) or "all"}',
      f'source:{config.evaluation.source}',
      f'out of distribution:{config.evaluation.out_of_distribution}',
      # Results of an older version lack some, and are made again.
      f'figures:{",".join(evaluation.FIGURES)}',
      *[shift.label for shift in checks.parse_shifts(config.evaluation)],
  ]
  return marks + weight_marks(paths)


def weight_marks(paths: Sequence[str]) -> list[str]:
  """Says which weights are in run folders or SavedModels."""
  marks = []
  for path in paths:
    if teachers.is_predictions(path):
      file = path
    elif teachers.is_saved_model(path):
      file = os.path.join(path, 'saved_model.pb')
    else:
      file = f'{runs.open_run(path, "--run").checkpoint}.index'
    place = f'{os.path.basename(path)}/{os.path.basename(file)}'
    marks.append(f'{place}@{files.modified(file)}')
  return marks


def provenance(
    config: configs.ExperimentConfig,
    strategy: tf.distribute.Strategy,
    results: Sequence[evaluation.Result],
) -> Mapping[str, str | list[str]]:
  """Says how results were made, for a report."""
  corrupted = len(checks.parse_shifts(config.evaluation)) - 1
  images = '; '.join(sorted({r.images for r in results if r.images}))
  return {
      'Command': [' '.join([os.path.relpath(sys.argv[0]), *sys.argv[1:]])],
      'Experiment': config.experiment,
      'Corrupted test sets': f'{corrupted}, {images}' if corrupted else 'none',
      'Out of distribution': _out_of_distribution(config),
      'Machine': f'{train_lib.describe(strategy, config)}; '
      f'{os.cpu_count()} cores; {platform.platform()}',
      'Versions': f'Python {platform.python_version()}, '
      f'TensorFlow {tf.__version__}',
  }


def _out_of_distribution(config: configs.ExperimentConfig) -> str:
  """Says which images were to be told from the test set's."""
  train_data = config.task.train_data
  if config.evaluation.out_of_distribution:
    return f'test images of {config.evaluation.out_of_distribution}'
  if train_data.classes:
    return (
        f'test images of the classes of {train_data.name} other than '
        + ', '.join(map(str, train_data.classes))
    )
  return 'none'
