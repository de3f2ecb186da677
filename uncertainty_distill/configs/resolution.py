"""What follows from a configuration: derived fields, members."""

from __future__ import annotations

import copy
from typing import Protocol

from uncertainty_distill.configs.experiment import (
  ExperimentConfig,
  TrainerConfig,
)
from uncertainty_distill.configs.validation import validate
from uncertainty_distill.errors import InputError

from official.modeling import optimization

_MAX_SUMMARIES = 1000


class _Spec(Protocol):
  """What resolution needs to know of images (`data.DatasetSpec`)."""

  image_shape: tuple[int, ...]
  num_classes: int
  mean: tuple[float, ...]
  stddev: tuple[float, ...]


class _Dataset(Protocol):
  """What resolution needs to know of a dataset (`data.Dataset`)."""

  spec: _Spec
  num_train: int


def resolve(
  config: ExperimentConfig, dataset: _Dataset, steps_per_loop: int = 100
) -> ExperimentConfig:
  """Returns a copy, checked and with every derived field filled in.

  Args:
    config: As parsed.
    dataset: The dataset of `task.train_data`.
    steps_per_loop: Where the configuration leaves it open: steps between two
      looks at the progress.

  Raises:
    InputError: If a value is out of its range.
  """
  config = copy.deepcopy(config)
  validate(config)
  model = config.task.model
  model.image_shape = tuple(dataset.spec.image_shape)
  model.num_classes = dataset.spec.num_classes
  model.mean = model.mean or tuple(dataset.spec.mean)
  model.stddev = model.stddev or tuple(dataset.spec.stddev)
  channels = model.image_shape[-1]
  for name, value in ('mean', model.mean), ('stddev', model.stddev):
    if len(value) not in (1, channels):
      raise InputError(
        f'task.model.{name}',
        value,
        f'one value, or one for each of the {channels} channels',
      )
  runtime = config.runtime
  if runtime.tpu is not None and runtime.mixed_precision_dtype is None:
    # What a TPU multiplies in anyhow; half the memory to move.
    runtime.mixed_precision_dtype = 'bfloat16'
  _resolve_lengths(config, dataset.num_train, steps_per_loop)
  _resolve_views(config, batches_per_epoch(config, dataset.num_train))
  if config.trainer.optimizer_config == optimization.OptimizationConfig():
    config.trainer.optimizer_config = _published_optimizer(
      config.trainer,
      config.task.train_data.global_batch_size,
      batches_per_epoch(config, dataset.num_train),
    )
  return config


def batches_per_epoch(config: ExperimentConfig, num_train: int) -> int:
  """Returns how many batches the training examples make; no batch is short.

  Args:
    config: As parsed, or resolved.
    num_train: The training examples of the dataset.

  Raises:
    InputError: If a batch is larger than the training set.
  """
  data = config.task.train_data
  examples = (data.num_examples or num_train) - data.num_held_out(num_train)
  if data.global_batch_size > examples:
    raise InputError(
      'task.train_data.global_batch_size',
      data.global_batch_size,
      f'at most the {examples} training examples',
    )
  return examples // data.global_batch_size


def _resolve_lengths(
  config: ExperimentConfig, num_train: int, steps_per_loop: int
) -> None:
  """Turns epochs into steps, where the steps are not given."""
  trainer = config.trainer
  epoch = batches_per_epoch(config, num_train)
  trainer.train_steps = trainer.train_steps or max(
    1, round(trainer.epochs * epoch)
  )
  steps = trainer.train_steps
  trainer.steps_per_loop = trainer.steps_per_loop or min(steps_per_loop, steps)
  if not trainer.summary_interval:
    # However long a run is, a curve of a thousand points shows it.
    loops = -(-steps // (_MAX_SUMMARIES * trainer.steps_per_loop))
    trainer.summary_interval = loops * trainer.steps_per_loop
  if trainer.summary_interval % trainer.steps_per_loop:
    raise InputError(
      'trainer.summary_interval',
      trainer.summary_interval,
      f'a multiple of the {trainer.steps_per_loop} steps of a loop',
    )
  trainer.checkpoint_interval = trainer.checkpoint_interval or max(epoch, 100)
  # Ten looks at the test set: enough for a curve, a small part of the time.
  trainer.validation_interval = trainer.validation_interval or max(
    epoch, steps // 10
  )


def _resolve_views(config: ExperimentConfig, steps_per_epoch: int) -> None:
  """Fixes the views where a teacher's logits of them are stored."""
  objective, train_data = config.task.objective, config.task.train_data
  if objective.kind == 'cross_entropy' or not objective.teacher_cache:
    return
  # One view an epoch, the last and incomplete one included.
  epochs = -(-config.trainer.train_steps // steps_per_epoch)
  train_data.views = train_data.views or epochs
  train_data.augmentation_seed = max(train_data.augmentation_seed, 0)


def _published_optimizer(
  trainer: TrainerConfig, global_batch_size: int, steps_per_epoch: int
) -> optimization.OptimizationConfig:
  """SGD with Nesterov's momentum, a warm-up, and a decay in steps."""
  rate = trainer.base_learning_rate * global_batch_size / 128
  milestones = [round(f * trainer.train_steps) for f in trainer.decay_fractions]
  # A very short run can round two milestones to one step; both decays count.
  boundaries = tuple(sorted(set(milestones)))
  values = (rate,) + tuple(
    rate * trainer.decay_rate ** sum(m <= boundary for m in milestones)
    for boundary in boundaries
  )
  config = {
    'optimizer': {
      'type': 'sgd',
      'sgd': {'momentum': trainer.momentum, 'nesterov': True},
    },
    'learning_rate': {
      'type': 'stepwise',
      'stepwise': {'boundaries': boundaries, 'values': values},
    },
  }
  if not boundaries:
    config['learning_rate'] = {
      'type': 'constant',
      'constant': {'learning_rate': rate},
    }
  warmup_steps = round(trainer.warmup_epochs * steps_per_epoch)
  if warmup_steps:
    config['warmup'] = {
      'type': 'linear',
      'linear': {'warmup_steps': warmup_steps, 'warmup_learning_rate': 0},
    }
  return optimization.OptimizationConfig(config)


def member_config(config: ExperimentConfig, index: int = 0) -> ExperimentConfig:
  """Returns the experiment of one of the teacher's members, or of none's.

  Args:
    config: The student's experiment, not resolved.
    index: Of the member. Its seed follows from the student's and from this.

  Returns:
    An experiment that trains a single network by itself, on new views of its
    own in each epoch.
  """
  member = copy.deepcopy(config)
  teacher = config.teacher
  member.task.model.ensemble_size = 1
  member.task.model.depth = teacher.depth
  member.task.model.width = teacher.width
  member.task.train_data.global_batch_size = teacher.global_batch_size
  # A student may make do with few views; its teacher is to know the images.
  member.task.train_data.views = 0
  member.task.train_data.augmentation_seed = -1
  member.task.l2 = teacher.l2
  member.task.block_l2 = ()
  member.task.objective.kind = 'cross_entropy'
  member.task.objective.teacher = ()
  member.task.objective.teacher_cache = ''
  member.task.objective.weight_tie = 0.0
  member.task.initialize_from = ()
  member.task.initialize_aligned = False
  member.task.seed = 1000 * (config.task.seed + 1) + index
  member.trainer.epochs = teacher.epochs
  member.trainer.decay_fractions = teacher.decay_fractions
  return member


def without_teacher(config: ExperimentConfig) -> ExperimentConfig:
  """Returns the experiment that train.py trains.

  Args:
    config: As parsed. A single network gets the hyper-parameters of a teacher's
      member, but keeps its own seed, L2 of blocks and augmentation.
  """
  if config.task.model.ensemble_size != 1:
    lone = copy.deepcopy(config)
    lone.task.objective.kind = 'cross_entropy'
    return lone
  given, lone = config.task, member_config(config)
  lone.task.seed, lone.task.block_l2 = given.seed, given.block_l2
  for name in 'views', 'augmentation_seed':
    setattr(lone.task.train_data, name, getattr(given.train_data, name))
  return lone
