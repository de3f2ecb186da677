"""A teacher's logits of the training examples, stored before training.

The logits come from files of stored predictions, or from a teacher cache, to
which missing views are added. With stored logits, no teacher runs in the steps
of training.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Sequence
from typing import Any

from uncertainty_distill import configs, data, losses, models, trained
from uncertainty_distill.runtime import progress
from uncertainty_distill.training import teacher as teacher_lib
from uncertainty_distill.training.opened_experiment import Experiment

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)

# The values by which training images are shown as they are.
_NOT_AUGMENTED = {
  'crop_padding': 0,
  'horizontal_flip': False,
  'random_crop_area': 1.0,
  'color_jitter': 0.0,
}


def open_stored_logits(experiment: Experiment) -> trained.StoredLogits | None:
  """Reads stored predictions, or opens a teacher cache and completes it.

  Several workers take turns instead of working together. The first worker makes
  the views of a cache, alone on its own device. The others find these views, or
  make their own if they have disks of their own.

  Args:
    experiment: The student's experiment. If it has a cache, its teacher is
      loaded only to make missing views.

  Returns:
    The logits of every view that is trained on; None if the teacher is to run
    in every step.

  Raises:
    InputError: If the teacher does not fit the student, its predictions are not
      of the dataset, or the cache is damaged or cannot be written.
  """
  task = experiment.config.task
  if not isinstance(experiment.teacher, trained.StoredPredictions):
    if task.objective.teacher_cache:
      return _complete_cache(experiment)
    _check_labels(experiment, experiment.strategy)
    return None
  off = ','.join(
    f'task.train_data.{name}={json.dumps(value)}'
    for name, value in _NOT_AUGMENTED.items()
    if getattr(task.train_data, name) != value
  )
  if off:
    _logger.warning(
      'The stored predictions are for images without augmentation, but the '
      f'student sees augmented images: {off} turns augmentation off.'
    )
  return teacher_lib.open_predictions(experiment)


def _check_labels(
  experiment: Experiment, strategy: tf.distribute.Strategy
) -> None:
  """Checks a teacher against the labels, on the devices where it will run."""
  check = teacher_lib.label_check(experiment)
  if check:
    with strategy.scope():
      teacher_lib.load_teacher(experiment)
      check.check_model(experiment.teacher)


def _complete_cache(experiment: Experiment) -> trained.LogitsCache:
  """Opens a student's teacher cache, and makes the views that it lacks."""
  task = experiment.config.task
  train_data = task.train_data
  changed = task.objective.perturbation != 'none'
  cache = trained.LogitsCache(
    task.objective.teacher_cache,
    {
      'teacher': experiment.teacher.description,
      'training_set': experiment.shown.fingerprint,
      'augmentation': _describe_views(experiment),
    },
    experiment.dataset.spec.image_shape if changed else (),
  )
  steps_per_epoch = configs.batches_per_epoch(
    experiment.config, experiment.dataset.num_train
  )
  epochs = -(-experiment.config.trainer.train_steps // steps_per_epoch)
  views = range(min(train_data.views, epochs))
  missing = cache.missing(views)
  check = teacher_lib.label_check(experiment)
  if check and 0 not in missing:
    logits = cache.read(tf.constant(0), tf.constant(check.rows)).numpy()
    check.check_predictions(experiment.teacher, np.swapaxes(logits, 0, 1))
  if missing:
    with cache.alone():
      # Another process may have made some views meanwhile.
      missing = cache.missing(views)
      if missing:
        _make_views(cache, missing, len(views), experiment)
  return cache


def _describe_views(experiment: Experiment) -> dict[str, Any]:
  """Returns what distinguishes the views of a cache from other views."""
  views, objective = experiment.views, experiment.config.task.objective
  described = {
    'version': data.AUGMENTATION_VERSION,
    'seed': views.seed,
    'padding': views.padding,
    'flip': views.flip,
  }
  # Caches from before these options existed do not name them. A value may have
  # been written as 1 or as 1.0, which JSON tells apart.
  if views.mixup:
    described['mixup'] = float(views.mixup)
  if views.distortion:
    values = dataclasses.asdict(views.distortion)
    described['distortion'] = {k: float(v) for k, v in values.items()}
  if objective.perturbation != 'none':
    described['perturbation'] = {
      name: value if isinstance(value, str) else float(value)
      for name, value in objective.as_dict().items()
      if name.startswith('perturbation')
    }
  return described


def _make_views(
  cache: trained.LogitsCache,
  missing: Sequence[int],
  num_views: int,
  experiment: Experiment,
) -> None:
  """Makes the views that are missing, one after the other."""
  batch_size = experiment.config.task.validation_data.global_batch_size
  # A worker that waits for the cache cannot take part in the others' steps.
  strategy = teacher_lib.own_devices(experiment.strategy)
  if 0 in missing:
    _check_labels(experiment, strategy)
  with strategy.scope():
    ensemble = teacher_lib.load_teacher(experiment)
  read = functools.partial(
    data.view_batches, experiment.views, missing, batch_size
  )
  batches = iter(strategy.distribute_datasets_from_function(read))
  make = functools.partial(_answer, experiment, ensemble, cache.has_images)
  stored = trained.BatchFunction(make, batch_size, strategy)
  size, done = len(experiment.shown), num_views - len(missing)
  with progress.progress_bar(
    num_views * size, 'teacher cache', 'image', done * size
  ) as bar:

    def parts():
      for start in range(0, size, batch_size):
        made = stored.step(next(batches))
        bar.update(min(batch_size, size - start))
        yield [array[: size - start] for array in made]

    for view in missing:
      cache.write(view, size, parts())


def _answer(
  experiment: Experiment,
  ensemble: models.DeepEnsemble,
  has_images: bool,
  batch: dict[str, tf.Tensor],
) -> list[tf.Tensor]:
  """Returns what is stored for a batch: logits, and perhaps the images."""
  objective = experiment.config.task.objective
  images = teacher_lib.make_views(objective, ensemble, batch)
  made = [trained.as_stored(ensemble(images, training=False))]
  if has_images:
    parts = tf.cast(images, tf.float32) * losses.LEVEL_PARTS
    made.append(tf.cast(parts, tf.uint16))
  return made
