"""Derives fields and other experiments from a configuration."""

from __future__ import annotations

import copy
import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Protocol

from uncertainty_distill.configs.data_config import REST, is_path
from uncertainty_distill.configs.experiment import (
  ExperimentConfig,
  ResolvedConfig,
  TaskConfig,
  TrainerConfig,
  is_baseline_path,
)
from uncertainty_distill.configs.parsing import check_fields
from uncertainty_distill.configs.validation import validate
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np
from official.modeling import hyperparams, optimization

_MAX_SUMMARIES = 1000
_SEEDS = 2**32


class _Spec(Protocol):
  """What resolution needs to know about images (`data.DatasetSpec`)."""

  image_shape: tuple[int, ...]
  num_classes: int
  mean: tuple[float, ...]
  stddev: tuple[float, ...]


class _Dataset(Protocol):
  """What resolution needs to know about a dataset (`data.Dataset`)."""

  spec: _Spec
  num_train: int


def resolve(
  config: ExperimentConfig, dataset: _Dataset, steps_per_loop: int = 100
) -> ResolvedConfig:
  """Returns a copy, checked and with every derived field filled in.

  Args:
    config: The parsed configuration.
    dataset: The dataset of `task.train_data`.
    steps_per_loop: The steps between two reports of progress, if the
      configuration does not say.

  Raises:
    InputError: If a value is out of its range.
  """
  check_fields(config)
  validate(config)
  # Model Garden copies each value that a field is given.
  config = ResolvedConfig(
    **{f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
  )
  make_datasets_absolute(config)
  _expand_home(config.task)
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
  if model.ensemble_size > 1 and model.rank > 1:
    model.check_rank('task.model.rank')
  runtime = config.runtime
  if runtime.tpu is not None and runtime.mixed_precision_dtype is None:
    # A TPU multiplies in bfloat16 anyway, and has half the memory to move.
    runtime.mixed_precision_dtype = 'bfloat16'
  steps_per_epoch = batches_per_epoch(config, dataset.num_train)
  _resolve_lengths(config, steps_per_epoch, steps_per_loop)
  _resolve_views(config, steps_per_epoch)
  if config.trainer.optimizer_config == optimization.OptimizationConfig():
    config.trainer.optimizer_config = _published_optimizer(
      config.trainer,
      config.task.train_data.global_batch_size,
      steps_per_epoch,
    )
  return config


def make_datasets_absolute(config: ExperimentConfig) -> None:
  """Makes the paths of datasets mean the same from every working directory.

  Args:
    config: The configuration, changed in place. Names of known datasets stay as
      they are.
  """
  train_data, evaluation = config.task.train_data, config.evaluation
  for holder, field, is_own in (
    (train_data, 'name', is_path),
    (train_data, 'data_dir', bool),
    (train_data, 'image_cache', bool),
    (train_data, 'unlabeled', lambda name: name != REST and is_path(name)),
    (evaluation, 'out_of_distribution', is_path),
    (evaluation, 'mce_baseline', is_baseline_path),
    (evaluation, 'source', lambda value: value not in ('', 'tfds')),
  ):
    value = getattr(holder, field)
    if is_own(value):
      setattr(holder, field, files.absolute(files.expanded(value)))


def _expand_home(task: TaskConfig) -> None:
  """Expands a `~` at the start of models' paths, in place."""
  objective = task.objective
  objective.teacher = tuple(map(files.expanded, objective.teacher))
  objective.teacher_cache = files.expanded(objective.teacher_cache)
  task.initialize_from = tuple(map(files.expanded, task.initialize_from))


def batches_per_epoch(config: ExperimentConfig, num_train: int) -> int:
  """Returns how many full batches an epoch of the training examples has.

  Args:
    config: The configuration, resolved or not.
    num_train: The number of training examples of the dataset.

  Raises:
    InputError: If a batch is larger than the training set.
  """
  data = config.task.train_data
  examples = (data.num_examples or num_train) - data.num_held_out(num_train)
  labeled = data.global_batch_size - data.num_unlabeled
  if labeled > examples:
    raise InputError(
      'task.train_data.global_batch_size',
      data.global_batch_size,
      f'at most the {examples} training examples',
      f'each batch takes {labeled} labeled examples' if data.unlabeled else '',
    )
  return examples // labeled


def _resolve_lengths(
  config: ExperimentConfig, epoch: int, steps_per_loop: int
) -> None:
  """Turns epochs, of so many steps, into steps if these are not given."""
  trainer = config.trainer
  trainer.train_steps = trainer.train_steps or max(
    1, round(trainer.epochs * epoch)
  )
  steps = trainer.train_steps
  trainer.steps_per_loop = trainer.steps_per_loop or min(steps_per_loop, steps)
  if not trainer.summary_interval:
    # A curve of a thousand points is enough, however long the run is.
    loops = -(-steps // (_MAX_SUMMARIES * trainer.steps_per_loop))
    trainer.summary_interval = loops * trainer.steps_per_loop
  if trainer.summary_interval % trainer.steps_per_loop:
    raise InputError(
      'trainer.summary_interval',
      trainer.summary_interval,
      f'a multiple of the {trainer.steps_per_loop} steps of a loop',
    )
  trainer.checkpoint_interval = trainer.checkpoint_interval or max(epoch, 100)
  # Ten evaluations: enough for a curve, and a small part of the time.
  trainer.validation_interval = trainer.validation_interval or max(
    epoch, steps // 10
  )


def _resolve_views(config: ExperimentConfig, steps_per_epoch: int) -> None:
  """Sets the views' number and seed if a teacher's logits are stored."""
  objective, train_data = config.task.objective, config.task.train_data
  if not objective.uses_teacher or not objective.teacher_cache:
    return
  # One view for each epoch, including an incomplete last epoch.
  epochs = -(-config.trainer.train_steps // steps_per_epoch)
  train_data.views = train_data.views or epochs
  train_data.augmentation_seed = max(train_data.augmentation_seed, 0)


def _published_optimizer(
  trainer: TrainerConfig, global_batch_size: int, steps_per_epoch: int
) -> optimization.OptimizationConfig:
  """Returns SGD with Nesterov's momentum, a warm-up, and a decay in steps."""
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
  """Returns the experiment of a single network, as a teacher's member is.

  Args:
    config: The student's experiment, not resolved.
    index: The index of the member. The member's seed follows from this index
      and from the student's seed.

  Returns:
    An experiment that trains a single network without a teacher, on new views
    in each epoch.
  """
  member = copy.deepcopy(config)
  _set_members_values(member)
  for field in dataclasses.fields(config.teacher):
    if 'sets' in field.metadata:
      parents, _, name = field.metadata['sets'].rpartition('.')
      value = getattr(config.teacher, field.name)
      setattr(operator.attrgetter(parents)(member), name, value)
  member.task.seed = (1000 * (config.task.seed + 1) + index) % _SEEDS
  return member


def _set_members_values(config: hyperparams.Config) -> None:
  """Sets the fields whose metadata has `of_member` to that value, in place."""
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if isinstance(value, hyperparams.Config):
      _set_members_values(value)
    elif 'of_member' in field.metadata:
      setattr(config, field.name, field.metadata['of_member'])


def default_run(config: ExperimentConfig) -> ExperimentConfig:
  """Returns the experiment of a search's run 0, with the teacher's values.

  Args:
    config: The student's experiment, not resolved; `teacher.search` describes
      the search.

  Returns:
    A member's experiment that leaves out the search's share of the examples.
  """
  run = member_config(config)
  share = config.teacher.search.held_out_fraction
  run.task.train_data.held_out_fraction = share
  return run


def search_run(
  default: ExperimentConfig, index: int, num_examples: int
) -> ExperimentConfig:
  """Returns the experiment of one run of a search.

  The draws depend on the seed and the index alone. So a search can be extended,
  and its first runs stay as they are.

  Args:
    default: The experiment that `default_run` returned, resolved.
    index: The index of the run; 0 for the default itself.
    num_examples: The number of examples that the runs train on. The range of L2
      is divided by this number.

  Returns:
    The same experiment with a lambda for each group of layers and a label
    smoothing, drawn log-uniformly, and with its own seed (Mariet et al., 2020,
    Appendix B.1). BatchNorm's scales and offsets have the lambda of their
    group; in the published code they keep a lambda of 2e-4.
  """
  run = copy.deepcopy(default)
  if not index:
    return run
  search, task = run.teacher.search, run.task
  # Unlike a Generator's, the numbers of a RandomState are the same in every
  # version of NumPy.
  random = np.random.RandomState([task.seed, index])
  task.block_l2 = tuple(
    _log_uniform(random, [bound / num_examples for bound in search.l2_range])
    for _ in task.model.architecture.get().L2_GROUPS
  )
  task.objective.label_smoothing = _log_uniform(
    random, search.label_smoothing_range
  )
  task.seed = (task.seed + index) % _SEEDS
  return run


def _log_uniform(
  random: np.random.RandomState, bounds: Sequence[float]
) -> float:
  """Draws a number whose logarithm is uniform between those of two bounds."""
  low, high = map(math.log, bounds)
  value = math.exp(low + (high - low) * random.random_sample())
  # Machines may differ in the last digits of a logarithm, but agree on six.
  return float(f'{value:.6g}')
