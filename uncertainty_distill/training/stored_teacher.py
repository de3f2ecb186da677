"""A teacher whose logits are stored instead of computed in every step."""

from __future__ import annotations

import logging

from uncertainty_distill import configs, data, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.training import teacher_cache

import tensorflow as tf

_logger = logging.getLogger(__name__)


def prepare(
  config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> trained.StoredLogits | None:
  """Opens stored predictions, or a teacher cache, making views that it lacks.

  Args:
    config: Resolved.
    strategy: The devices.

  Returns:
    What the teacher said; None if the experiment has no teacher, or runs it.

  Raises:
    InputError: If the teacher, its predictions or its cache is wrong.
  """
  task = config.task
  if task.objective.kind == 'cross_entropy':
    return None
  if not trained.are_predictions(task.objective.teacher, 'teacher'):
    return teacher_cache.prepare(config, strategy)
  train_data = task.train_data
  if train_data.crop_padding or train_data.horizontal_flip:
    _logger.warning(
      'The stored predictions do not know of the augmentation that the '
      'student sees: task.train_data.crop_padding=0,'
      'task.train_data.horizontal_flip=false turns it off.'
    )
  return open_predictions(task)


def open_predictions(config: configs.TaskConfig) -> trained.FixedLogits:
  """Reads a teacher's stored predictions of the training examples.

  Args:
    config: Whose teacher is stored predictions.

  Raises:
    InputError: If they are not of the dataset, or there is to be a cache, too.
  """
  objective = config.objective
  if objective.teacher_cache:
    raise InputError(
      'task.objective.teacher_cache',
      objective.teacher_cache,
      'nothing where the teacher is stored predictions, which are read as '
      'they are',
    )
  dataset = data.open_configured(config.train_data)
  training_set, _ = data.open_training(dataset, config.train_data)
  logits = trained.load_predictions(
    objective.teacher,
    'teacher',
    'train',
    dataset.train.labels,
    dataset.spec.num_classes,
  )
  return trained.FixedLogits(logits[:, training_set.rows])
