"""The range of each field, and what else a value must be."""

from __future__ import annotations

from typing import Any

from uncertainty_distill.configs.experiment import (
  FROM_TEACHER,
  OBJECTIVES,
  PERTURBED,
  ExperimentConfig,
  ModelConfig,
  TaskConfig,
)
from uncertainty_distill.errors import InputError

from official.modeling import hyperparams, optimization

_POSITIVE = (lambda x: x > 0, 'more than 0')
_NOT_NEGATIVE = (lambda x: x >= 0, 'at least 0')
_AT_LEAST_1 = (lambda x: x >= 1, 'at least 1')
_FRACTION = (lambda x: 0 <= x <= 1, '0 to 1')
_INCREASING_FRACTIONS = (
  lambda x: all(0 < f < 1 for f in x) and list(x) == sorted(set(x)),
  'increasing fractions between 0 and 1',
)
_DEPTH = (
  lambda x: x >= 10 and (x - 4) % 6 == 0,
  '6 n + 4 for some n >= 1: 10, 16, 22, 28',
)
_RANGES = {
  'task.model.depth': _DEPTH,
  'task.model.width': _AT_LEAST_1,
  'task.model.stddev': (lambda x: all(s > 0 for s in x), 'all more than 0'),
  'task.model.ensemble_size': _AT_LEAST_1,
  'task.model.rank': _AT_LEAST_1,
  'task.model.perturb': (
    lambda x: x in PERTURBED,
    'one of ' + ', '.join(PERTURBED),
  ),
  'task.model.fast_weight_stddev': _NOT_NEGATIVE,
  'task.model.batch_norm_momentum': _FRACTION,
  'task.model.batch_norm_epsilon': _POSITIVE,
  'task.train_data.global_batch_size': _AT_LEAST_1,
  'task.train_data.num_examples': _NOT_NEGATIVE,
  'task.train_data.test_from_training': _NOT_NEGATIVE,
  'task.train_data.held_out_fraction': (
    lambda x: 0 <= x < 1,
    'at least 0, less than 1',
  ),
  'task.train_data.crop_padding': _NOT_NEGATIVE,
  'task.train_data.views': _NOT_NEGATIVE,
  'task.train_data.augmentation_seed': (
    lambda x: -1 <= x < 2**32,
    'at least -1, less than 2^32',
  ),
  'task.validation_data.global_batch_size': _AT_LEAST_1,
  'task.validation_data.num_examples': _NOT_NEGATIVE,
  'task.objective.kind': (
    lambda x: x in OBJECTIVES,
    'one of ' + ', '.join(OBJECTIVES),
  ),
  'task.objective.weight': _FRACTION,
  'task.objective.temperature': _POSITIVE,
  'task.objective.label_smoothing': (
    lambda x: 0 <= x < 1,
    'at least 0, less than 1',
  ),
  'task.objective.weight_tie': _NOT_NEGATIVE,
  'task.l2': _NOT_NEGATIVE,
  'task.block_l2': (
    lambda x: len(x) in (0, 6) and all(value >= 0 for value in x),
    'six values of at least 0, or none',
  ),
  'task.fast_weight_learning_rate_multiplier': _NOT_NEGATIVE,
  'task.seed': (lambda x: 0 <= x < 2**32, 'at least 0, less than 2^32'),
  'trainer.epochs': _POSITIVE,
  'trainer.base_learning_rate': _POSITIVE,
  'trainer.momentum': (lambda x: 0 <= x < 1, 'at least 0, less than 1'),
  'trainer.warmup_epochs': _NOT_NEGATIVE,
  'trainer.decay_fractions': _INCREASING_FRACTIONS,
  'trainer.decay_rate': (lambda x: 0 < x <= 1, 'more than 0, at most 1'),
  'trainer.train_steps': _NOT_NEGATIVE,
  'trainer.steps_per_loop': _NOT_NEGATIVE,
  'trainer.summary_interval': _NOT_NEGATIVE,
  'trainer.checkpoint_interval': _NOT_NEGATIVE,
  'trainer.validation_interval': _NOT_NEGATIVE,
  'trainer.validation_steps': (
    lambda x: x == -1 or x >= 1,
    'at least 1, or -1 for all',
  ),
  'trainer.max_to_keep': (
    lambda x: x >= 2,
    'at least 2, or a damaged one costs all of them',
  ),
  'trainer.recovery_max_trials': _NOT_NEGATIVE,
  'trainer.recovery_learning_rate_factor': (
    lambda x: 0 < x <= 1,
    'more than 0, at most 1',
  ),
  'trainer.loss_upper_bound': _POSITIVE,
  'trainer.recovery_begin_steps': _NOT_NEGATIVE,
  'runtime.num_threads': _NOT_NEGATIVE,
  'runtime.mixed_precision_dtype': (
    lambda x: x in (None, 'float32', 'bfloat16'),
    'float32 or bfloat16',
  ),
  'teacher.ensemble_size': _AT_LEAST_1,
  'teacher.depth': _DEPTH,
  'teacher.width': _AT_LEAST_1,
  'teacher.global_batch_size': _AT_LEAST_1,
  'teacher.epochs': _POSITIVE,
  'teacher.decay_fractions': _INCREASING_FRACTIONS,
  'teacher.l2': _NOT_NEGATIVE,
  # More would give two students' teachers runs of one seed.
  'teacher.search.num_runs': (lambda x: 0 <= x <= 1000, '0 to 1000'),
  'teacher.search.held_out_fraction': (
    lambda x: 0 < x < 1,
    'more than 0, less than 1',
  ),
  'teacher.search.l2_range': (
    lambda x: len(x) == 2 and 0 < x[0] <= x[1],
    'a least and a largest value, both more than 0',
  ),
  'teacher.search.label_smoothing_range': (
    lambda x: len(x) == 2 and 0 < x[0] <= x[1] < 1,
    'a least and a largest value, both between 0 and 1',
  ),
  'evaluation.corruptions': (lambda x: len(set(x)) == len(x), 'distinct names'),
  'evaluation.severities': (
    lambda x: len(set(x)) == len(x) and all(1 <= s <= 5 for s in x),
    'distinct severities of 1 to 5',
  ),
}


def _get(config: hyperparams.Config, path: str) -> Any:
  """Returns the field at a dotted path."""
  value = config
  for name in path.split('.'):
    value = getattr(value, name)
  return value


def validate(config: ExperimentConfig) -> None:
  """Raises an InputError for the first field that is out of its range."""
  for path, (holds, wants) in _RANGES.items():
    value = _get(config, path)
    if not holds(value):
      raise InputError(path, value, wants)
  _check_rank(config.task.model)
  _check_weight_tie(config.task)
  _check_initialization(config.task)
  _check_search(config)
  _check_optimizer(
    config.trainer.optimizer_config,
    config.task.fast_weight_learning_rate_multiplier,
  )


def _check_rank(model: ModelConfig) -> None:
  """Raises an InputError for a rank that no matrix of the network has."""
  most = 64 * model.width  # Channels of the last group's convolutions.
  if model.rank > most:
    raise InputError(
      'task.model.rank',
      model.rank,
      f'1 to {most}, the most that a matrix of width {model.width} has',
    )


def _check_weight_tie(task: TaskConfig) -> None:
  """Raises an InputError if weights are tied that have no counterpart."""
  objective = task.objective
  if not objective.weight_tie:
    return
  if objective.kind == 'cross_entropy' or task.model.ensemble_size == 1:
    raise InputError(
      'task.objective.weight_tie',
      objective.weight_tie,
      '0 where there is no teacher, or no BatchEnsemble',
    )


def _check_search(config: ExperimentConfig) -> None:
  """Raises an InputError if a search cannot find the teacher's members."""
  teacher, train_data = config.teacher, config.task.train_data
  if not teacher.search.num_runs:
    return
  if teacher.search.num_runs < teacher.ensemble_size:
    raise InputError(
      'teacher.search.num_runs',
      teacher.search.num_runs,
      f"0, or at least the teacher's {teacher.ensemble_size} members",
    )
  if train_data.held_out_fraction > teacher.search.held_out_fraction:
    raise InputError(
      'teacher.search.held_out_fraction',
      teacher.search.held_out_fraction,
      f"at least the student's own {train_data.held_out_fraction}, or the "
      'teacher would learn what the student leaves out',
    )


def _check_initialization(task: TaskConfig) -> None:
  """Raises an InputError if not each member has a network to start from."""
  paths, members = task.initialize_from, task.model.ensemble_size
  if not paths:
    if task.initialize_aligned:
      raise InputError(
        'task.initialize_aligned',
        True,
        'false where task.initialize_from names no networks',
      )
  elif members == 1:
    raise InputError(
      'task.initialize_from',
      list(paths),
      '[] where there is no BatchEnsemble',
    )
  elif paths != FROM_TEACHER and len(paths) != members:
    raise InputError(
      'task.initialize_from',
      list(paths),
      f'{members} folders, one for each '
      f"of the model's members, or [{FROM_TEACHER[0]}]",
    )


def _check_optimizer(
  config: optimization.OptimizationConfig, multiplier: float
) -> None:
  """Raises an InputError unless Model Garden can build the optimizer."""
  if config == optimization.OptimizationConfig():
    return  # The published one takes its place.
  name = config.optimizer.type
  try:
    factory = optimization.OptimizerFactory(config)
    factory.build_optimizer(factory.build_learning_rate())
  except (KeyError, TypeError, ValueError) as error:
    raise InputError(
      'trainer.optimizer_config',
      f'{name} with learning rate {config.learning_rate.type}',
      'types and arguments that Model Garden knows, both for `optimizer` and '
      'for `learning_rate`, or neither',
      ' '.join(str(error).split()),
    ) from error
  if name != 'sgd' and multiplier != 1:
    # Scaling a gradient scales the step only where the step is linear in it.
    raise InputError(
      'task.fast_weight_learning_rate_multiplier',
      multiplier,
      f'1 with the optimizer {name}; other values need sgd',
    )
  # The step sums the gradients over replicas before the optimizer has them.
  if name == 'adamw' and config.optimizer.get().gradient_clip_norm > 0:
    raise InputError(
      'trainer.optimizer_config.optimizer.adamw.gradient_clip_norm',
      config.optimizer.get().gradient_clip_norm,
      "0: it would clip each replica's gradients by themselves",
      'set global_clipnorm instead',
    )
