"""Checks a student's teacher, and loads it for the training steps."""

from __future__ import annotations

from collections.abc import Mapping

from uncertainty_distill import configs, data, losses, models, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.training import initialization
from uncertainty_distill.training.opened_experiment import Experiment

import numpy as np
import tensorflow as tf


def check_teacher(experiment: Experiment) -> None:
  """Checks that a student can learn from its teacher, trained or not yet.

  Raises:
    InputError: If head distillation cannot match the members, or if weights are
      tied and the teacher does not have one plain network of the student's
      architecture for each member, or if a given teacher cannot teach what the
      objective says.
  """
  objective = experiment.config.task.objective
  if objective.kind == 'head' or objective.teacher:
    check_members(experiment.config.task, teacher_size(experiment))
  if objective.weight_tie:
    purpose = 'task.objective.weight_tie'
    if objective.teacher:
      trained.check_networks(
        experiment.teacher, experiment.config.task.model, purpose
      )
    else:
      initialization.check_future_teacher(experiment.config, purpose)


def teacher_size(experiment: Experiment) -> int:
  """Returns the number of the teacher's members, trained or not yet.

  Raises:
    InputError: If a given teacher cannot be loaded, or has other images or
      classes than the dataset.
  """
  if not experiment.config.task.objective.teacher:
    return experiment.config.teacher.ensemble_size
  if isinstance(experiment.teacher, trained.StoredPredictions):
    return len(_read_predictions(experiment))
  _check_fits(experiment)
  return experiment.teacher.ensemble_size


def check_members(config: configs.TaskConfig, teacher_size: int) -> None:
  """Checks that head distillation can match members one to one.

  Raises:
    InputError: If it cannot match them.
  """
  members = config.model.ensemble_size
  if config.objective.kind == 'head' and teacher_size != members:
    raise InputError(
      'task.objective.kind',
      'head',
      'knowledge',
      'set `task.model.ensemble_size`, or choose knowledge',
      message='`task.objective.kind` head needs as many student members as '
      f'teacher members, but there are {members} and {teacher_size}',
    )


def load_teacher(experiment: Experiment) -> models.DeepEnsemble:
  """Loads a teacher with frozen weights; call it in a strategy's scope.

  Raises:
    InputError: If the teacher does not fit the student, or takes uint8 images
      although its gradient is needed.
  """
  _check_fits(experiment)
  teacher, task = experiment.teacher, experiment.config.task
  check_members(task, teacher.ensemble_size)
  ensemble = teacher.ensemble()
  ensemble.trainable = False
  return ensemble


def own_devices(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
  """Returns a strategy with which a worker computes without the others."""
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return tf.distribute.get_strategy()
  return strategy


def make_views(
  objective: configs.ObjectiveConfig,
  ensemble: models.DeepEnsemble,
  batch: Mapping[str, tf.Tensor],
) -> tf.Tensor:
  """Returns the images on which a teacher teaches its student.

  Args:
    objective: The objective, which says whether and how the teacher changes the
      images.
    ensemble: The teacher.
    batch: `images` [b, H, W, C], and `draws` if the teacher changes the images.

  Returns:
    Images [b, H, W, C], float32 if they are changed.
  """
  if objective.perturbation == 'none':
    return batch['images']
  return losses.diversified_views(
    lambda images: ensemble(images, training=False),
    batch['images'],
    batch['draws'],
    size=objective.perturbation_size,
    temperature=objective.perturbation_temperature,
    share=objective.perturbation_share,
    confident=objective.perturbation == 'conf_ods',
  )


def label_check(experiment: Experiment) -> trained.LabelCheck | None:
  """Returns the check of a given teacher against the training labels.

  None if this command trained the teacher, which learned from these labels.
  """
  if not experiment.given.task.objective.teacher:
    return None
  return trained.LabelCheck(
    experiment.training_set, 'training images', experiment.config.check_labels
  )


def open_predictions(experiment: Experiment) -> trained.FixedLogits:
  """Returns a teacher's stored predictions of the training examples.

  Raises:
    InputError: If the predictions are not of the dataset, if its labels
      contradict them, if the configuration also names a teacher cache, or if
      images are mixed or changed by the teacher.
  """
  logits = _read_predictions(experiment)
  check = label_check(experiment)
  if check:
    check.check_predictions(experiment.teacher, logits[:, check.rows])
  return trained.FixedLogits(logits)


def _read_predictions(experiment: Experiment) -> np.ndarray:
  """Returns stored logits [M, N, K] of the examples that are trained on."""
  objective = experiment.config.task.objective
  cache = objective.teacher_cache
  if objective.perturbation != 'none':
    raise losses.no_gradient(objective.perturbation)
  if objective.mixup:
    raise InputError(
      'task.objective.mixup',
      objective.mixup,
      '0 with a teacher of stored predictions, because there are none for '
      'mixed images',
    )
  if cache:
    raise InputError(
      'task.objective.teacher_cache',
      cache,
      'empty',
      message='`task.objective.teacher_cache` has no effect with a teacher of '
      'stored predictions',
    )
  return experiment.teacher_predictions[:, _rows_shown(experiment)]


def _rows_shown(experiment: Experiment) -> np.ndarray:
  """Returns the rows of the dataset's training examples that training shows.

  Raises:
    InputError: If training also shows images that are not among the dataset's
      training examples.
  """
  rows, others = experiment.training_set.rows, experiment.unlabeled
  if others is None:
    return rows
  if not isinstance(others, data.Subset) or (
    others.source is not experiment.dataset.train
  ):
    raise InputError(
      'task.train_data.unlabeled',
      experiment.config.task.train_data.unlabeled,
      'rest or empty with a teacher of stored predictions',
      'stored predictions are only for the training examples',
    )
  return np.concatenate([rows, others.rows])


def _check_fits(experiment: Experiment) -> None:
  """Raises an InputError unless a teacher fits the data and the objective."""
  perturbation = experiment.config.task.objective.perturbation
  if perturbation != 'none' and any(
    isinstance(part, trained.SavedModel) and not part.takes_floats
    for part in experiment.teacher.parts
  ):
    raise losses.no_gradient(perturbation)
  dataset = experiment.dataset
  experiment.teacher.check_fits(
    dataset.spec.image_shape,
    dataset.spec.num_classes,
    lambda: dataset.train.numpy(slice(32)),
  )
