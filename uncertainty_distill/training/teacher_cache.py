"""What a teacher says of augmented views, made before students are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import configs, data, trained
from uncertainty_distill.runtime import progress
from uncertainty_distill.training.teacher import check_members

import numpy as np
import tensorflow as tf
import tf_keras


def prepare(
  config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> trained.LogitsCache | None:
  """Opens a student's teacher cache; makes the views that it lacks.

  The teacher is in memory only while they are made.

  Args:
    config: Resolved.
    strategy: The devices. Several workers take turns instead of working
      together: whoever comes first makes the views, alone on its own device,
      and the others find them, or make their own on disks of their own.

  Returns:
    The cache, with a view for each epoch; None if the experiment has no cache.

  Raises:
    InputError: If the teacher is wrong, or the cache is damaged or cannot be
      written.
  """
  objective, train_data = config.task.objective, config.task.train_data
  if objective.kind == 'cross_entropy' or not objective.teacher_cache:
    return None
  dataset, _ = data.open_training(data.open_configured(train_data), train_data)
  augmentation = {
    'seed': train_data.augmentation_seed,
    'padding': train_data.crop_padding,
    'flip': train_data.horizontal_flip,
  }
  cache = trained.LogitsCache(
    objective.teacher_cache,
    {
      'teacher': trained.describe_teacher(objective.teacher, 'teacher'),
      'training_set': dataset.fingerprint,
      'augmentation': {'version': data.AUGMENTATION_VERSION, **augmentation},
    },
  )
  steps_per_epoch = len(dataset) // train_data.global_batch_size
  epochs = -(-config.trainer.train_steps // steps_per_epoch)
  views = range(min(train_data.views, epochs))
  if cache.missing(views):
    with cache.alone():
      # Another process may have made some meanwhile.
      _make(cache, views, config, dataset, augmentation, strategy)
  return cache


def _make(
  cache: trained.LogitsCache,
  views: Sequence[int],
  config: configs.ExperimentConfig,
  dataset: data.ImageSource,
  augmentation: dict[str, Any],
  strategy: tf.distribute.Strategy,
) -> None:
  """Makes those of the views that are missing, one after the other."""
  missing = cache.missing(views)
  if not missing:
    return
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    # A worker that waits for the cache cannot take part in the others' steps.
    strategy = tf.distribute.get_strategy()
  spec, task = dataset.spec, config.task
  with strategy.scope():
    teacher = trained.load_ensemble(
      task.objective.teacher,
      'teacher',
      spec.image_shape,
      spec.num_classes,
      lambda: dataset.numpy(slice(32)),
    )
  check_members(task, teacher.ensemble_size)
  size, batch_size = len(dataset), task.validation_data.global_batch_size
  batches = iter(
    strategy.distribute_datasets_from_function(
      lambda context: data.view_batches(
        dataset, missing, batch_size, context=context, **augmentation
      )
    )
  )
  step = _compiled(teacher.model, strategy)
  done = len(views) - len(missing)
  with progress.progress_bar(
    len(views) * size, 'teacher cache', 'image', done * size
  ) as bar:
    for view in missing:
      parts = []
      for start in range(0, size, batch_size):
        parts.append(step(next(batches)))
        bar.update(min(batch_size, size - start))
      cache.write(view, np.concatenate(parts)[:size])


def _compiled(
  model: tf_keras.Model, strategy: tf.distribute.Strategy
) -> Callable[..., tf.Tensor]:
  """Returns a step from a batch of all replicas to what is stored of it."""

  def replica_step(batch):
    return trained.as_stored(model(batch['images'], training=False))

  @tf.function(autograph=False)
  def step(batch):
    stored = strategy.run(replica_step, args=(batch,))
    return tf.concat(strategy.experimental_local_results(stored), axis=0)

  return step
