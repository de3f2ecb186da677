"""Finds mistakes in a configuration before anything is trained or written."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, data, distribution, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.training import stored_logits
from uncertainty_distill.training import teacher as teacher_lib

import tensorflow as tf


def resolve(config: configs.ExperimentConfig) -> configs.ExperimentConfig:
  """Returns a checked copy whose derived fields are filled in.

  Raises:
    InputError: If the dataset is unknown or a value is out of its range.
  """
  on_cpu = config.runtime.tpu is None and not tf.config.list_physical_devices(
    'GPU'
  )
  # A loop is one call into the device: long, so that a fast device need not
  # wait; short, so that the progress of a slow one can be seen.
  return configs.resolve(
    config,
    data.open_configured(config.task.train_data),
    steps_per_loop=10 if on_cpu else 100,
  )


def check(
  config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> None:
  """Checks values and batches, and opens all images.

  Args:
    config: Not resolved.
    strategy: The devices.

  Raises:
    InputError: If a value, a batch or a dataset is wrong.
  """
  resolved = resolve(config)
  distribution.describe(strategy, resolved)
  train_data = resolved.task.train_data
  data.open_training(data.open_configured(train_data), train_data)
  data.open_evaluation_sets(resolved)


def check_teacher(config: configs.ExperimentConfig) -> None:
  """Checks that a student can learn from its teacher.

  Args:
    config: Not resolved; its teacher is given or still to be trained.

  Raises:
    InputError: If there is no distillation to do, if head distillation cannot
      match the members, or if weights are tied and the teacher has not one
      plain network of the student's depth and width for each member.
  """
  objective = config.task.objective
  if objective.kind == 'cross_entropy':
    raise InputError(
      'task.objective.kind',
      objective.kind,
      'knowledge or head',
      'train.py trains what has no teacher',
    )
  if objective.kind == 'head':
    teacher_lib.check_members(config.task, teacher_size(config))
  if objective.weight_tie:
    _check_networks(
      config,
      objective.teacher,
      'task.objective.teacher',
      'task.objective.weight_tie',
    )


def check_initialization(
  config: configs.ExperimentConfig, trains_teacher: bool
) -> None:
  """Checks the networks that a model is to start from.

  Args:
    config: Not resolved.
    trains_teacher: Whether a teacher is trained where none is given.

  Raises:
    InputError: If there is not one plain network of the model's depth and width
      for each of its members, trained or, in a teacher, still to be trained.
  """
  task, name = config.task, 'task.initialize_from'
  if not task.initialize_from:
    return
  paths = task.initialize_from
  if tuple(paths) == configs.FROM_TEACHER:
    paths = task.objective.teacher
    if not paths and not trains_teacher:
      raise InputError(
        name, list(task.initialize_from), 'run folders, as there is no teacher'
      )
  _check_networks(config, paths, name, name)


def _check_networks(
  config: configs.ExperimentConfig,
  paths: Sequence[str],
  name: str,
  purpose: str,
) -> None:
  """Checks networks that are given, or the teacher that is to be trained."""
  if paths:
    trained.check_networks(
      trained.open_trained(paths, name), resolve(config).task.model, purpose
    )
    return
  for field in 'ensemble_size', 'depth', 'width':
    value = getattr(config.teacher, field)
    expected = getattr(config.task.model, field)
    if value != expected:
      raise InputError(
        f'teacher.{field}',
        value,
        f'{expected} as in the student, for {purpose}',
      )


def teacher_size(config: configs.ExperimentConfig) -> int:
  """Returns the members of the teacher, given or still to be trained.

  Raises:
    InputError: If a given one cannot be loaded, or has other images or classes
      than the dataset.
  """
  if not config.task.objective.teacher:
    return config.teacher.ensemble_size
  teacher = teacher_lib.open_teacher(config.task)
  if isinstance(teacher, trained.StoredPredictions):
    return stored_logits.read_predictions(config.task, teacher).ensemble_size
  teacher_lib.check_fits(config.task, teacher)
  return teacher.ensemble_size
