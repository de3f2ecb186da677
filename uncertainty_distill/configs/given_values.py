"""Finds the values that were set, and those that have no effect."""

from __future__ import annotations

import dataclasses
import logging
import operator
from collections.abc import Iterable
from typing import Any

from uncertainty_distill.configs.data_config import is_path
from uncertainty_distill.configs.experiment import (
  ExperimentConfig,
  TaskConfig,
)
from uncertainty_distill.configs.parsing import inner_prefix
from uncertainty_distill.configs.registry import experiment_names
from uncertainty_distill.io import files

from official.core import exp_factory
from official.modeling import hyperparams, optimization

_logger = logging.getLogger(__name__)

_OF_MEMBERS = (
  'task.train_data.members_per_example',
  'task.model.rank',
  'task.model.perturb',
  'task.model.fast_weights',
  'task.model.fast_weight_stddev',
  'task.model.norm',
  'task.model.ensemble_type',
  'task.fast_weight_decay',
  'task.initialize_',
)
# Model Garden's configuration has the first three, but nothing reads them. The
# last two follow from the dataset.
_NEVER = (
  'runtime.run_eagerly',
  'runtime.loss_scale',
  'trainer.continuous_eval_timeout',
  'task.model.image_shape',
  'task.model.num_classes',
)
_WITHOUT_TEACHER = (
  'task.objective.kind',
  'task.objective.weight',
  'task.objective.temperature',
  'task.objective.mixup',
  'task.objective.perturbation',
  'task.objective.cross_entropy_images',
  'task.objective.teacher_temperature',
  'task.train_data.unlabeled',
  'teacher.ensemble_size',
  'teacher.search',
)
_OF_PUBLISHED_OPTIMIZER = (
  'trainer.base_learning_rate',
  'trainer.momentum',
  'trainer.warmup_epochs',
  'trainer.decay_',
  'teacher.decay_',
)
_OF_EVALUATION = (
  'check_labels',
  'evaluation.',
  'runtime.',
  'task.validation_data.',
  'task.train_data.name',
  'task.train_data.data_dir',
  'task.train_data.classes',
  'task.train_data.image_cache',
  'task.train_data.image_size',
  'task.train_data.image_fit',
  'task.train_data.train_split',
  'task.train_data.test_split',
  'task.train_data.test_fraction',
  'task.train_data.skip_broken',
  'task.train_data.test_from_training',
  # These say which images training leaves out, to fit temperatures to.
  'task.train_data.num_examples',
  'task.train_data.unlabeled',
)


def registered(config: ExperimentConfig) -> ExperimentConfig | None:
  """Returns the registered experiment that a configuration started from."""
  if config.experiment in experiment_names():
    return exp_factory.get_exp_config(config.experiment)  # pyright: ignore[reportReturnType]
  return None


def set_names(config: hyperparams.Config, prefix: str = '') -> set[str]:
  """Returns the dotted names of the values that were set."""
  found = set()
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if isinstance(value, hyperparams.Config):
      inner = inner_prefix(prefix, field.name, value)
      found |= set_names(value, inner)
    if field.name in getattr(config, 'was_set', ()):
      found.add(f'{prefix}{field.name}')
  return found


def warn_of_unused(
  config: ExperimentConfig, trains_alone: bool = False
) -> None:
  """Warns in one line about set values that training does not use.

  Args:
    config: The parsed experiment.
    trains_alone: Whether training uses no teacher, whatever the objective is.
  """
  usual = registered(config)
  if usual is None:
    return
  without_use = _without_use(config, trains_alone)
  _warn(
    name
    for name in set_names(config)
    if name.startswith(without_use)
    and _find(config, name) != _find(usual, name)
  )


def _find(config: ExperimentConfig, name: str) -> Any:
  """Returns a value; None if the architecture has no such field."""
  try:
    return operator.attrgetter(name)(config)
  except AttributeError:
    return None


def warn_of_unused_by_evaluation(config: ExperimentConfig) -> None:
  """Warns in one line about set values that evaluation does not use."""
  _warn(n for n in set_names(config) if not n.startswith(_OF_EVALUATION))


def _warn(names: Iterable[str]) -> None:
  unused = ', '.join(sorted(names))
  if unused:
    _logger.warning(f'These values are set but have no effect here: {unused}')


def _without_use(
  config: ExperimentConfig, trains_alone: bool
) -> tuple[str, ...]:
  """Returns the prefixes of the names of values that training does not use."""
  task, trainer = config.task, config.trainer
  is_single = task.model.ensemble_size == 1
  names = _NEVER + _without_use_by_network(task)
  if trains_alone:
    names += _WITHOUT_TEACHER
    if task.model.architecture.type == 'keras_model':
      # Its layers compute in the types that they were built with.
      names += ('runtime.mixed_precision_dtype',)
    if is_single or not task.initialize_from:
      names += ('task.objective.teacher',)
    # A single network uses the other values of a teacher's member.
    names += () if is_single else ('teacher.',)
  else:
    names += _without_other_views(task)
    names += ('teacher.',) if task.objective.teacher else ()
  if trainer.optimizer_config != optimization.OptimizationConfig():
    names += _OF_PUBLISHED_OPTIMIZER
  elif is_single or task.model.ensemble_type == 'hydra':
    # Other optimizers need the value 1.
    names += ('task.fast_weight_learning_rate_multiplier',)
  if trainer.train_steps:
    names += ('trainer.epochs', 'teacher.epochs')
  if task.block_l2:
    names += ('task.l2',)
  return names + _without_files(config)


def _without_use_by_network(task: TaskConfig) -> tuple[str, ...]:
  """Returns the names of values that the student's network does not use."""
  model = task.model
  names = _OF_MEMBERS if model.ensemble_size == 1 else ()
  if model.ensemble_type == 'hydra':
    names += ('task.model.perturb', 'task.model.fast_weight')
  elif model.fast_weights != 'normal':
    names += ('task.model.fast_weight_stddev',)
  if model.architecture.type in ('custom', 'keras_model'):
    # Networks of the user's own have BatchNorms and inputs of their own.
    names += (
      'task.model.batch_norm_',
      'task.model.sync_batch_norm',
      'task.model.mean',
      'task.model.stddev',
    )
  return names


def _without_other_views(task: TaskConfig) -> tuple[str, ...]:
  """Returns the names of values for images of which a student has none."""
  objective, names = task.objective, ()
  if objective.perturbation == 'none':
    names += ('task.objective.perturbation_',)
    if not objective.mixup:
      names += ('task.objective.cross_entropy_images',)
  if not task.train_data.unlabeled:
    names += ('task.train_data.unlabeled_',)
  return names


def _without_files(config: ExperimentConfig) -> tuple[str, ...]:
  """Returns the names of values that are for pictures in files, if none are."""
  train_data = config.task.train_data
  name = files.expanded(train_data.name)
  if (
    train_data.unlabeled
    or config.evaluation.out_of_distribution
    or (is_path(name) and files.is_folder(name))
  ):
    return ()
  names = ('task.train_data.skip_broken',)
  # Images of TFDS can also be kept decoded.
  cache = 'task.train_data.image_cache'
  return names if name.startswith('tfds:') else (*names, cache)
