"""What follows from a configuration: derived fields, ranges, members."""

from __future__ import annotations

import copy
from typing import Any, Protocol

from official.modeling import hyperparams
from official.modeling import optimization
from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.configs.experiment import OBJECTIVES
from uncertainty_distill.configs.experiment import TrainerConfig
from uncertainty_distill.errors import InputError


class _Dataset(Protocol):
  """What resolution needs to know of a dataset (`data.DatasetSpec`)."""

  image_shape: tuple[int, ...]
  num_classes: int
  num_train: int
  mean: tuple[float, ...]
  stddev: tuple[float, ...]


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
    'task.model.ensemble_size': _AT_LEAST_1,
    'task.model.rank': _AT_LEAST_1,
    'task.model.fast_weight_stddev': _NOT_NEGATIVE,
    'task.model.batch_norm_momentum': _FRACTION,
    'task.model.batch_norm_epsilon': _POSITIVE,
    'task.train_data.global_batch_size': _AT_LEAST_1,
    'task.train_data.num_examples': _NOT_NEGATIVE,
    'task.train_data.crop_padding': _NOT_NEGATIVE,
    'task.validation_data.global_batch_size': _AT_LEAST_1,
    'task.validation_data.num_examples': _NOT_NEGATIVE,
    'task.objective.kind': (
        lambda x: x in OBJECTIVES, 'one of ' + ', '.join(OBJECTIVES)),
    'task.objective.weight': _FRACTION,
    'task.objective.temperature': _POSITIVE,
    'task.objective.label_smoothing': _FRACTION,
    'task.l2': _NOT_NEGATIVE,
    'task.fast_weight_learning_rate_multiplier': _NOT_NEGATIVE,
    'task.seed': _NOT_NEGATIVE,
    'trainer.epochs': _POSITIVE,
    'trainer.base_learning_rate': _POSITIVE,
    'trainer.momentum': (lambda x: 0 <= x < 1, 'at least 0, less than 1'),
    'trainer.warmup_epochs': _NOT_NEGATIVE,
    'trainer.decay_fractions': _INCREASING_FRACTIONS,
    'trainer.decay_rate': (lambda x: 0 < x <= 1, 'more than 0, at most 1'),
    'trainer.train_steps': _NOT_NEGATIVE,
    'trainer.steps_per_loop': _NOT_NEGATIVE,
    'runtime.mixed_precision_dtype': (
        lambda x: x in (None, 'float32', 'bfloat16'), 'float32 or bfloat16'),
    'teacher.ensemble_size': _AT_LEAST_1,
    'teacher.depth': _DEPTH,
    'teacher.width': _AT_LEAST_1,
    'teacher.global_batch_size': _AT_LEAST_1,
    'teacher.epochs': _POSITIVE,
    'teacher.decay_fractions': _INCREASING_FRACTIONS,
    'teacher.l2': _NOT_NEGATIVE,
    'evaluation.severities': (
        lambda x: all(1 <= s <= 5 for s in x), 'severities of 1 to 5'),
}


def get(config: hyperparams.Config, path: str) -> Any:
  """Returns the field at a dotted path."""
  value = config
  for name in path.split('.'):
    value = getattr(value, name)
  return value


def validate(config: ExperimentConfig) -> None:
  """Raises an InputError for the first field that is out of its range."""
  for path, (holds, wants) in _RANGES.items():
    value = get(config, path)
    if not holds(value):
      raise InputError(path, value, wants)
  optimizer = config.trainer.optimizer_config.optimizer.type
  multiplier = config.task.fast_weight_learning_rate_multiplier
  if optimizer not in (None, 'sgd') and multiplier != 1:
    # Scaling a gradient scales the step only where the step is linear in it.
    raise InputError(
        'task.fast_weight_learning_rate_multiplier', multiplier,
        f'1 with the optimizer {optimizer}; other values need sgd',
    )


def resolve(
    config: ExperimentConfig, dataset: _Dataset, steps_per_loop: int = 100
) -> ExperimentConfig:
  """Returns a copy, checked and with every derived field filled in.

  Args:
    config: As parsed.
    dataset: That of `task.train_data.name`.
    steps_per_loop: Where the configuration leaves it open: steps between two
      looks at the progress.

  Raises:
    InputError: If a value is out of its range.
  """
  config = copy.deepcopy(config)
  validate(config)
  model = config.task.model
  model.image_shape = tuple(dataset.image_shape)
  model.num_classes = dataset.num_classes
  model.mean = model.mean or tuple(dataset.mean)
  model.stddev = model.stddev or tuple(dataset.stddev)
  _resolve_lengths(config, dataset.num_train, steps_per_loop)
  if config.trainer.optimizer_config.optimizer.type is None:
    config.trainer.optimizer_config = _published_optimizer(
        config.trainer,
        config.task.train_data.global_batch_size,
        _steps_per_epoch(config, dataset.num_train),
    )
  return config


def _steps_per_epoch(config: ExperimentConfig, num_train: int) -> int:
  data = config.task.train_data
  examples = data.num_examples or num_train
  if data.global_batch_size > examples:
    raise InputError(
        'task.train_data.global_batch_size', data.global_batch_size,
        f'at most the {examples} training examples',
    )
  return examples // data.global_batch_size


def _resolve_lengths(
    config: ExperimentConfig, num_train: int, steps_per_loop: int
) -> None:
  """Turns epochs into steps, where the steps are not given."""
  trainer = config.trainer
  epoch = _steps_per_epoch(config, num_train)
  trainer.train_steps = trainer.train_steps or max(
      1, round(trainer.epochs * epoch)
  )
  steps = trainer.train_steps
  trainer.steps_per_loop = trainer.steps_per_loop or min(steps_per_loop, steps)
  trainer.summary_interval = trainer.summary_interval or trainer.steps_per_loop
  if trainer.summary_interval % trainer.steps_per_loop:
    raise InputError(
        'trainer.summary_interval', trainer.summary_interval,
        f'a multiple of the {trainer.steps_per_loop} steps of a loop',
    )
  trainer.checkpoint_interval = trainer.checkpoint_interval or max(epoch, 100)
  # Ten looks at the test set: enough for a curve, a small part of the time.
  trainer.validation_interval = trainer.validation_interval or max(
      epoch, steps // 10
  )


def _published_optimizer(
    trainer: TrainerConfig, global_batch_size: int, steps_per_epoch: int
) -> optimization.OptimizationConfig:
  """SGD with Nesterov's momentum, a warm-up, and a decay in steps."""
  rate = trainer.base_learning_rate * global_batch_size / 128
  milestones = [round(f * trainer.train_steps) for f in trainer.decay_fractions]
  # A very short run can round two milestones to one step; both decays count.
  boundaries = sorted(set(milestones))
  values = [rate] + [
      rate * trainer.decay_rate ** sum(m <= boundary for m in milestones)
      for boundary in boundaries
  ]
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
        'type': 'constant', 'constant': {'learning_rate': rate}
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
    An experiment that trains a single network by itself.
  """
  member = copy.deepcopy(config)
  teacher = config.teacher
  member.task.model.ensemble_size = 1
  member.task.model.depth = teacher.depth
  member.task.model.width = teacher.width
  member.task.train_data.global_batch_size = teacher.global_batch_size
  member.task.l2 = teacher.l2
  member.task.objective.kind = 'cross_entropy'
  member.task.objective.teacher = ()
  member.task.seed = 1000 * (config.task.seed + 1) + index
  member.trainer.epochs = teacher.epochs
  member.trainer.decay_fractions = teacher.decay_fractions
  return member
