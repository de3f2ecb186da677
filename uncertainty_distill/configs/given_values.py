"""Finds the values that were set, and those that have no effect."""

from __future__ import annotations

import copy
import dataclasses
import logging
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from uncertainty_distill.configs.data_config import is_path
from uncertainty_distill.configs.experiment import (
  ExperimentConfig,
  TaskConfig,
)
from uncertainty_distill.configs.parsing import inner_prefix
from uncertainty_distill.configs.registry import experiment_names
from uncertainty_distill.configs.resolution import member_config
from uncertainty_distill.errors import InputError
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


def without_teacher(config: ExperimentConfig) -> ExperimentConfig:
  """Returns the experiment that train.py trains.

  Args:
    config: The parsed experiment. A single network gets the hyperparameters of
      a teacher's member, but keeps its own seed, `block_l2`, `views` and
      `augmentation_seed`, and every value that was set for it.

  Raises:
    InputError: If a value was set to one thing for the single network and to
      another for a teacher's member.
  """
  if config.task.model.ensemble_size != 1:
    lone = copy.deepcopy(config)
    lone.task.objective.kind = 'cross_entropy'
    lone.task.objective.weight_tie = 0.0
    lone.task.train_data.unlabeled = lone.task.train_data.unlabeled_split = ''
    return lone
  given, lone = config.task, member_config(config)
  _keep_what_was_set(config, lone)
  lone.task.seed, lone.task.block_l2 = given.seed, given.block_l2
  for name in 'views', 'augmentation_seed':
    setattr(lone.task.train_data, name, getattr(given.train_data, name))
  return lone


def _keep_what_was_set(given: ExperimentConfig, lone: ExperimentConfig) -> None:
  """Gives a single network the values that were set for it.

  Args:
    given: The experiment as it was given.
    lone: The experiment of a teacher's member, changed in place.

  Raises:
    InputError: If a value was also set for the teacher, to something else.
  """
  usual = _usual(given)
  if usual is None:
    return
  names = set_names(given)
  _keep_architecture(given, lone, usual)
  for name, of_teacher in _pairs(given):
    find, find_of_teacher = map(operator.attrgetter, (name, of_teacher))
    value, teachers = find(given), find_of_teacher(given)
    is_usual = value == find(usual)
    if value == teachers or (is_usual and name not in names):
      continue
    if teachers != find_of_teacher(usual):
      raise InputError(
        name,
        value,
        f'{teachers}, the value that {of_teacher} sets for a single network',
        f'set only one of {name} and {of_teacher}',
      )
    if is_usual and of_teacher in names:
      continue  # A file such as a run's params.yaml sets all values.
    parents, _, last = name.rpartition('.')
    setattr(operator.attrgetter(parents)(lone), last, value)


def _keep_architecture(
  given: ExperimentConfig, lone: ExperimentConfig, usual: ExperimentConfig
) -> None:
  """Gives a single network the architecture that was chosen for it.

  Args:
    given: The experiment as it was given.
    lone: The experiment of a teacher's member, changed in place.
    usual: The registered experiment. If the same architecture was given for
      both networks, it gets this architecture, so that values can be compared.

  Raises:
    InputError: If another architecture was chosen for the teacher.
  """
  own, teachers = given.task.model.architecture, given.teacher.architecture
  if own.type == teachers.type:
    for holder in usual.task.model, usual.teacher:
      if holder.architecture.type != own.type:
        holder.architecture = type(own)(type=own.type)
  elif own.type != usual.task.model.architecture.type:
    if teachers.type != usual.teacher.architecture.type:
      raise InputError(
        'task.model.architecture.type',
        own.type,
        f'{teachers.type}, the type that teacher.architecture.type sets for a '
        'single network',
        'set only one of the two',
      )
    lone.task.model.architecture = copy.deepcopy(own)


def _usual(config: ExperimentConfig) -> ExperimentConfig | None:
  """Returns the registered experiment that a configuration started from."""
  if config.experiment in experiment_names():
    return exp_factory.get_exp_config(config.experiment)  # pyright: ignore[reportReturnType]
  return None


def _pairs(config: ExperimentConfig) -> Iterator[tuple[str, str]]:
  """Yields the names of the values that a network and its teacher share."""
  own, teachers = config.task.model.architecture, config.teacher.architecture
  for field in dataclasses.fields(config.teacher):
    if field.name == 'architecture':
      if own.type != teachers.type:
        continue
      for name in config.task.model.short_names():
        yield f'task.model.{name}', f'teacher.{name}'
    elif 'sets' in field.metadata:
      yield field.metadata['sets'], f'teacher.{field.name}'


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
  usual = _usual(config)
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
  names = _NEVER + (_OF_MEMBERS if is_single else ())
  if task.model.ensemble_type == 'hydra':
    names += ('task.model.perturb', 'task.model.fast_weight')
  elif task.model.fast_weights != 'normal':
    names += ('task.model.fast_weight_stddev',)
  if task.model.architecture.type in ('custom', 'keras_model'):
    # Networks of the user's own have BatchNorms and inputs of their own.
    names += (
      'task.model.batch_norm_',
      'task.model.sync_batch_norm',
      'task.model.mean',
      'task.model.stddev',
    )
  if task.model.architecture.type == 'keras_model':
    # Its layers compute in the types that they were built with.
    names += ('runtime.mixed_precision_dtype',)
  if trains_alone:
    names += (
      'task.objective.kind',
      'task.objective.weight',
      'task.objective.temperature',
      'task.objective.mixup',
      'task.objective.perturbation',
      'task.objective.cross_entropy_images',
      'task.objective.teacher_temperature',
      'task.train_data.unlabeled',
    )
    if is_single or not task.initialize_from:
      names += ('task.objective.teacher',)
    # A single network uses the other values of a teacher's member.
    names += ('teacher.ensemble_size', 'teacher.search')
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
