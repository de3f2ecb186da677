"""Mistakes found before anything is trained or written."""

from __future__ import annotations

import tensorflow as tf
from uncertainty_distill import configs
from uncertainty_distill import data
from uncertainty_distill import train_lib
from uncertainty_distill.data import corruptions
from uncertainty_distill.errors import InputError


def parse_shifts(
    evaluation_config: configs.EvaluationConfig,
) -> list[corruptions.Shift]:
  """Returns the test sets of a configuration, the clean one first.

  Raises:
    InputError: If a corruption or a severity is unknown.
  """
  kinds = corruptions.parse_corruptions(evaluation_config.corruptions)
  return [
      corruptions.CLEAN,
      *corruptions.shifts(kinds, evaluation_config.severities),
  ]


def check(
    config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> None:
  """Finds a user's mistakes before anything is trained or written.

  Args:
    config: Not resolved.
    strategy: The devices.

  Raises:
    InputError: If a value, a batch or the dataset is wrong.
  """
  resolved = train_lib.resolve(config)
  if len(parse_shifts(resolved.evaluation)) > 1:
    shape = data.dataset_spec(resolved.task.train_data.name).image_shape
    corruptions.check_image_shape(shape)
  train_lib.describe(strategy, resolved)
  train_data = resolved.task.train_data
  for split, num_examples in (
      ('train', train_data.num_examples),
      ('test', resolved.task.validation_data.num_examples),
  ):
    data.load_dataset(train_data.name, split, train_data.data_dir).take(
        num_examples
    )


def check_teacher(config: configs.ExperimentConfig) -> None:
  """Finds mistakes about a student's teacher before anything is trained.

  Raises:
    InputError: If there is no distillation to do, or if head distillation
      cannot match the teacher that is going to be trained.
  """
  objective = config.task.objective
  if objective.kind == 'cross_entropy':
    raise InputError(
        '--objective', objective.kind, 'knowledge or head',
        'train.py trains what has no teacher',
    )
  size, members = config.task.model.ensemble_size, config.teacher.ensemble_size
  if objective.kind == 'head' and not objective.teacher and size != members:
    raise InputError(
        '--objective', 'head',
        f'as many teacher members ({members}) as student members ({size})',
        'set --ensemble_size, or take --objective=knowledge',
    )
