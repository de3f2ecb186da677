"""The teacher of a student: opened, checked, and loaded for its steps."""

from __future__ import annotations

from uncertainty_distill import configs, data, models, trained
from uncertainty_distill.errors import InputError


def open_teacher(config: configs.TaskConfig) -> trained.TrainedModel:
  """Opens the teacher that a configuration names.

  Raises:
    InputError: If it is no trained model.
  """
  return trained.open_trained(
    config.objective.teacher, 'task.objective.teacher'
  )


def check_fits(
  config: configs.TaskConfig, teacher: trained.TrainedModel
) -> None:
  """Finds out whether a teacher takes the images of the student's dataset.

  Raises:
    InputError: If it takes other images or has other classes, or if it cannot
      be loaded.
  """
  dataset = data.open_configured(config.train_data)
  teacher.check_fits(
    dataset.spec.image_shape,
    dataset.spec.num_classes,
    lambda: dataset.train.numpy(slice(32)),
  )


def check_members(config: configs.TaskConfig, teacher_size: int) -> None:
  """Finds out whether head distillation can match members one to one.

  Raises:
    InputError: If not.
  """
  members = config.model.ensemble_size
  if config.objective.kind == 'head' and teacher_size != members:
    raise InputError(
      'task.objective.kind',
      'head',
      'knowledge',
      'set task.model.ensemble_size, or choose knowledge',
      message='`task.objective.kind` head needs as many student members as '
      f'teacher members, but there are {members} and {teacher_size}',
    )


def load_teacher(
  config: configs.TaskConfig, teacher: trained.TrainedModel
) -> models.DeepEnsemble:
  """Loads a teacher within a strategy's scope; nothing trains it.

  Raises:
    InputError: If it does not fit the student.
  """
  check_fits(config, teacher)
  check_members(config, teacher.ensemble_size)
  ensemble = teacher.ensemble()
  ensemble.trainable = False
  return ensemble
