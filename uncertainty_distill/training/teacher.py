"""The teacher of a task, and whether it fits the student."""

from __future__ import annotations

from uncertainty_distill import configs, data, models, trained
from uncertainty_distill.errors import InputError

import tf_keras


def check_members(config: configs.TaskConfig, teacher_size: int) -> None:
  """Raises an InputError if head distillation cannot match the members."""
  members = config.model.ensemble_size
  if config.objective.kind == 'head' and teacher_size != members:
    raise InputError(
      'task.objective.kind',
      'head',
      f'as many teacher members ({teacher_size}) as student members '
      f'({members})',
      'set task.model.ensemble_size, or take knowledge',
    )


def load_teacher(
  config: configs.TaskConfig, stored_logits: trained.StoredLogits | None
) -> models.DeepEnsemble | None:
  """Returns the network to run in every step.

  Args:
    config: Of the task.
    stored_logits: What the teacher said of every view that is trained on.

  Returns:
    The teacher; None if there is none, or if its logits are stored.

  Raises:
    InputError: If the teacher does not fit the student.
  """
  if config.objective.kind == 'cross_entropy':
    return None
  if stored_logits is not None:
    check_members(config, stored_logits.ensemble_size)
    return None
  teacher = _load_ensemble(config)
  check_members(config, teacher.ensemble_size)
  return teacher.model


def tie_weights(
  config: configs.TaskConfig,
  model: tf_keras.Model,
  teacher: models.DeepEnsemble | None,
) -> list[trained.TiedWeights]:
  """Returns the student's kernels beside the teacher's.

  Args:
    config: Of the task.
    model: The student.
    teacher: As `load_teacher` returned it.

  Raises:
    InputError: If the teacher's weights have no counterpart in the student.
  """
  trained.check_networks(
    trained.open_trained(config.objective.teacher, 'teacher'),
    config.model,
    'task.objective.weight_tie',
  )
  # Stored logits spare the steps the teacher's network, not its weights.
  teacher = teacher or _load_ensemble(config).model
  return trained.pair_weights(model, teacher.models)


def _load_ensemble(config: configs.TaskConfig) -> trained.Ensemble:
  teacher = trained.load_ensemble(
    config.objective.teacher,
    'teacher',
    config.model.image_shape,
    config.model.num_classes,
    lambda: data.open_configured(config.train_data).train.numpy(slice(32)),
  )
  teacher.model.trainable = False
  return teacher
