"""A teacher's logits of the training examples, stored before training.

They are stored predictions, which are read, or those in a teacher cache, which
gets the views that it lacks. In the steps of training no teacher runs then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from uncertainty_distill import configs, data, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.runtime import progress
from uncertainty_distill.training.teacher import load_teacher

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)


def open_stored_logits(
  config: configs.ExperimentConfig,
  teacher: trained.TrainedModel,
  strategy: tf.distribute.Strategy,
) -> trained.StoredLogits | None:
  """Reads stored predictions, or opens a teacher cache and completes it.

  Args:
    config: The student's experiment, resolved.
    teacher: The teacher; it is loaded only to make views that are missing.
    strategy: The devices. Several workers take turns instead of working
      together: the first one makes the views, alone on its own device, and the
      others find them, or make their own on disks of their own.

  Returns:
    The logits of every view that is trained on; None if the teacher is to run
    in every step.

  Raises:
    InputError: If the teacher does not fit the student, its predictions are not
      of the dataset, or the cache is damaged or cannot be written.
  """
  train_data = config.task.train_data
  if not isinstance(teacher, trained.StoredPredictions):
    has_cache = config.task.objective.teacher_cache
    return _complete_cache(config, teacher, strategy) if has_cache else None
  if train_data.crop_padding or train_data.horizontal_flip:
    _logger.warning(
      'The stored predictions are of images that are not augmented, but the '
      'student sees augmented ones: task.train_data.crop_padding=0,'
      'task.train_data.horizontal_flip=false turns that off.'
    )
  return read_predictions(config.task, teacher)


def read_predictions(
  config: configs.TaskConfig, teacher: trained.StoredPredictions
) -> trained.FixedLogits:
  """Reads stored predictions of the training examples.

  Raises:
    InputError: If they are not of the dataset, or there is to be a cache, too.
  """
  cache = config.objective.teacher_cache
  if cache:
    raise InputError(
      'task.objective.teacher_cache',
      cache,
      'empty',
      message='task.objective.teacher_cache has no effect where the teacher is '
      'stored predictions',
    )
  dataset = data.open_configured(config.train_data)
  training_set, _ = data.open_training(dataset, config.train_data)
  logits = teacher.predictions(
    'train', dataset.train.labels, dataset.spec.num_classes
  )
  return trained.FixedLogits(logits[:, training_set.rows])


def _complete_cache(
  config: configs.ExperimentConfig,
  teacher: trained.TrainedModel,
  strategy: tf.distribute.Strategy,
) -> trained.LogitsCache:
  """Opens a student's teacher cache, and makes the views that it lacks."""
  train_data = config.task.train_data
  source, _ = data.open_training(data.open_configured(train_data), train_data)
  augmentation = {
    'seed': train_data.augmentation_seed,
    'padding': train_data.crop_padding,
    'flip': train_data.horizontal_flip,
  }
  cache = trained.LogitsCache(
    config.task.objective.teacher_cache,
    {
      'teacher': teacher.description,
      'training_set': source.fingerprint,
      'augmentation': {'version': data.AUGMENTATION_VERSION, **augmentation},
    },
  )
  steps_per_epoch = len(source) // train_data.global_batch_size
  epochs = -(-config.trainer.train_steps // steps_per_epoch)
  views = range(min(train_data.views, epochs))
  if cache.missing(views):
    with cache.alone():
      # Another process may have made some meanwhile.
      _make_views(
        cache, views, config.task, source, augmentation, teacher, strategy
      )
  return cache


def _make_views(
  cache: trained.LogitsCache,
  views: Sequence[int],
  config: configs.TaskConfig,
  source: data.ImageSource,
  augmentation: dict[str, Any],
  teacher: trained.TrainedModel,
  strategy: tf.distribute.Strategy,
) -> None:
  """Makes the views that are missing, one after the other."""
  missing = cache.missing(views)
  if not missing:
    return
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    # A worker that waits for the cache cannot take part in the others' steps.
    strategy = tf.distribute.get_strategy()
  with strategy.scope():
    ensemble = load_teacher(config, teacher)
  size, batch_size = len(source), config.validation_data.global_batch_size
  batches = iter(
    strategy.distribute_datasets_from_function(
      lambda context: data.view_batches(
        source, missing, batch_size, context=context, **augmentation
      )
    )
  )
  stored = trained.BatchFunction(
    lambda batch: trained.as_stored(ensemble(batch['images'], training=False)),
    batch_size,
    strategy,
  )
  done = len(views) - len(missing)
  with progress.progress_bar(
    len(views) * size, 'teacher cache', 'image', done * size
  ) as bar:
    for view in missing:
      parts = []
      for start in range(0, size, batch_size):
        parts.append(stored.step(next(batches)))
        bar.update(min(batch_size, size - start))
      cache.write(view, np.concatenate(parts)[:size])
