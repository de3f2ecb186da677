"""The temperature that calibrates a teacher before its student sees it.

Knowledge distillation has one temperature after pooling (Rahaman and Thiery,
2021, "Uncertainty Quantification and Deep Ensembles", section 4): the mean of
the members' probabilities is calibrated, not each member. Head distillation
divides the logits of every member by one temperature.
"""

from __future__ import annotations

import logging

from uncertainty_distill import data, losses, trained
from uncertainty_distill.training import teacher as teacher_lib
from uncertainty_distill.training.opened_experiment import Experiment

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)

_NAME = 'task.objective.teacher_temperature'


def find_temperature(experiment: Experiment) -> float:
  """Returns the temperature of a student's teacher; fits it if asked to.

  A fitted temperature is rounded to four digits, on which all machines agree.

  Args:
    experiment: The student's experiment.

  Returns:
    The temperature. It is 1, with a warning, if it should be fitted but there
    are no images that neither the teacher nor the student is trained on.

  Raises:
    InputError: If the teacher does not fit the student, or if no temperature
      can be fitted to the images.
  """
  objective = experiment.config.task.objective
  if not isinstance(objective.teacher_temperature, str):
    return objective.teacher_temperature
  images = _untaught(experiment)
  if not len(images):
    _logger.warning(
      f'`{_NAME}` is set to 1 instead of a fitted value: there are no images '
      'that neither the teacher nor the student is trained on. Set '
      'task.train_data.held_out_fraction before you train the teacher.'
    )
    return 1.0
  trained.check_examples(images, _NAME, 'fit')
  logits = _logits(experiment, images)
  if objective.kind == 'knowledge':
    logits = losses.calibrated_teacher(
      tf.constant(logits), 1.0, pooled=True
    ).numpy()
  fitted = trained.fit_temperature(
    logits,
    images,
    'training examples that neither teacher nor student is trained on',
    _NAME,
    'fit',
  )
  return float(f'{fitted.temperature:.4g}')


def _untaught(experiment: Experiment) -> data.Subset:
  """Returns the training examples that neither teacher nor student has seen.

  What SavedModels and stored predictions were trained on is unknown. They are
  assumed to have seen none of the examples that the student holds out.
  """
  dataset, held_out = experiment.dataset, experiment.held_out
  rows, others = held_out.rows, experiment.evaluation_sets.temperature
  if isinstance(others, data.Subset):
    rows = np.union1d(rows, others.rows)
  unlabeled = experiment.unlabeled
  if experiment.config.task.train_data.unlabeled_overlaps:
    rows = np.arange(0)
  if isinstance(unlabeled, data.Subset) and unlabeled.source is dataset.train:
    rows = np.setdiff1d(rows, unlabeled.rows)
  taught = trained.learned_rows(
    experiment.teacher, dataset, experiment.config.task.train_data
  )
  return data.Subset(dataset.train, np.setdiff1d(rows, taught))


def _logits(experiment: Experiment, images: data.Subset) -> np.ndarray:
  """Returns a teacher's logits [M, N, K] of training examples."""
  if isinstance(experiment.teacher, trained.StoredPredictions):
    return experiment.teacher_predictions[:, images.rows]
  # With several workers, each computes all logits by itself.
  strategy = teacher_lib.own_devices(experiment.strategy)
  with strategy.scope():
    ensemble = teacher_lib.load_teacher(experiment)
  return trained.apply(
    lambda batch: ensemble(batch, training=False),
    images,
    experiment.config.task.validation_data.global_batch_size,
    strategy if strategy.num_replicas_in_sync > 1 else None,
    axis=1,
  )
