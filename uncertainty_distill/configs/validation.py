"""Checks a configuration's values, one by one and together."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

from uncertainty_distill import models, ranges
from uncertainty_distill.configs.data_config import REST, TrainDataConfig
from uncertainty_distill.configs.experiment import (
  FROM_TEACHER,
  ExperimentConfig,
  ObjectiveConfig,
  TaskConfig,
)
from uncertainty_distill.configs.parsing import ADAM, inner_prefix
from uncertainty_distill.configs.teacher_config import TeacherConfig
from uncertainty_distill.errors import InputError

from official.modeling import hyperparams, optimization


def validate(config: ExperimentConfig) -> None:
  """Raises an InputError for the first field that is out of its range."""
  _check_ranges(config, '')
  _check_task(config.task)
  _check_search(config.teacher, config.task.train_data.held_out_fraction)
  _check_optimizer(
    config.trainer.optimizer_config,
    config.task.fast_weight_learning_rate_multiplier,
  )


def _check_ranges(config: hyperparams.Config, prefix: str) -> None:
  """Checks each field against the range that its declaration gives."""
  ranges.check_fields(config, prefix)
  if isinstance(config, models.ArchitectureChoice):
    names = [f.name for f in dataclasses.fields(config) if f.name != 'type']
    ranges.one_of(*names).check(f'{prefix}type', config.type)
    chosen = config.get()
    _check_ranges(chosen, inner_prefix(prefix, config.type, chosen))
    return
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if isinstance(value, hyperparams.Config):
      _check_ranges(value, inner_prefix(prefix, field.name, value))


def _require(holds: bool, *error: Any) -> None:
  """Raises an InputError with these arguments unless a condition holds."""
  if not holds:
    raise InputError(*error)


def _check_task(task: TaskConfig) -> None:
  """Checks the values of a task that depend on its network or objective."""
  if task.model.ensemble_type == 'hydra':
    _check_hydra(task)
  _check_unlabeled(task.train_data, task.objective)
  _check_objective(task)
  _check_initialization(task)
  groups = task.model.architecture.get().L2_GROUPS
  members = task.model.ensemble_size
  _require(
    len(task.block_l2) in (0, len(groups)),
    'task.block_l2',
    task.block_l2,
    f'{len(groups)} values, one for each of {", ".join(groups)}, or no values',
  )
  _require(
    task.members_per_example <= members,
    'task.train_data.members_per_example',
    task.members_per_example,
    f"at most the model's {members} members, or 0 for all of them",
  )
  labeled = task.train_data.global_batch_size - task.train_data.num_unlabeled
  _require(
    task.members_per_example == members or labeled >= members,
    'task.train_data.unlabeled_share',
    task.train_data.unlabeled_share,
    f'a share that leaves a labeled image in each batch for each of {members} '
    'members, which see different images',
  )
  _require(
    not task.fast_weight_decay or (members > 1 and task.model.rank == 1),
    'task.fast_weight_decay',
    task.fast_weight_decay,
    '0 without a BatchEnsemble of rank 1',
  )


def _check_objective(task: TaskConfig) -> None:
  """Checks that the values of the objective are compatible."""
  objective = task.objective
  _require(
    not objective.mixup or objective.has_clean_pass or objective.weight == 1,
    'task.objective.weight',
    objective.weight,
    '1 with task.objective.mixup, because mixed images have no labels',
    'set `task.objective.cross_entropy_images` to clean to learn from labels '
    'as well',
  )
  _require(
    not objective.weight_tie
    or (objective.uses_teacher and task.model.ensemble_size > 1),
    'task.objective.weight_tie',
    objective.weight_tie,
    '0 without a teacher or without a BatchEnsemble',
  )


def _check_initialization(task: TaskConfig) -> None:
  """Checks that there can be one network to start from for each member."""
  paths, members = task.initialize_from, task.model.ensemble_size
  _require(
    bool(paths) or not task.initialize_aligned,
    'task.initialize_aligned',
    task.initialize_aligned,
    'false unless task.initialize_from names networks',
  )
  _require(
    not paths or task.model.norm == 'shared',
    'task.model.norm',
    task.model.norm,
    'shared with task.initialize_from, which gives all members the same '
    'BatchNorm',
  )
  _require(
    not paths or members > 1,
    'task.initialize_from',
    list(paths),
    '[] without a BatchEnsemble',
  )
  _require(
    paths in ((), FROM_TEACHER) or len(paths) == members,
    'task.initialize_from',
    list(paths),
    f"{members} folders, one for each of the model's members, or "
    f'[{FROM_TEACHER[0]}]',
  )


def _check_hydra(task: TaskConfig) -> None:
  """Checks that nothing is set that only a BatchEnsemble has."""
  model, usual = task.model, TaskConfig()
  for name in (
    *('model.rank', 'model.norm', 'fast_weight_decay', 'initialize_from'),
    'objective.weight_tie',
    'train_data.members_per_example',
  ):
    find = operator.attrgetter(name)
    _require(
      find(task) == find(usual),
      f'task.{name}',
      find(task),
      f'{find(usual)!r} with task.model.ensemble_type=hydra, whose members '
      'share all but the last layer',
    )
  _require(
    model.architecture.type != 'keras_model',
    'task.model.ensemble_type',
    model.ensemble_type,
    'batch_ensemble with a network of your own, which has the outputs of only '
    'one member',
  )


def _check_unlabeled(
  train_data: TrainDataConfig, objective: ObjectiveConfig
) -> None:
  """Checks that something can be learned from images without labels."""
  name = train_data.unlabeled
  _require(
    name.startswith('tfds:') or not train_data.unlabeled_split,
    'task.train_data.unlabeled_split',
    train_data.unlabeled_split,
    'empty unless task.train_data.unlabeled is tfds:NAME',
  )
  if not name:
    return
  is_same = name.removeprefix('tfds:') == train_data.name.removeprefix('tfds:')
  _require(
    name == train_data.name or not is_same,
    'task.train_data.unlabeled',
    name,
    f'other images than those of {train_data.name}, or {REST}',
    'to use its splits, set task.train_data.name to the same tfds:NAME',
  )
  _require(
    objective.uses_teacher and objective.weight > 0,
    'task.train_data.unlabeled',
    name,
    'empty if the loss does not include a teacher',
    'set `task.objective.kind` to knowledge or head, and '
    '`task.objective.weight` above 0',
  )
  _require(
    name != REST or train_data.num_examples > 0,
    'task.train_data.num_examples',
    0,
    f'more than 0 with task.train_data.unlabeled={REST}, which uses the '
    'training examples that num_examples leaves out',
  )
  batch = train_data.global_batch_size
  _require(
    0 < train_data.num_unlabeled < batch,
    'task.train_data.unlabeled_share',
    train_data.unlabeled_share,
    'a share that puts both labeled and unlabeled images into a batch of '
    f'{batch}',
  )


def _check_search(teacher: TeacherConfig, held_out: float) -> None:
  """Checks that a search can find the teacher's members."""
  search = teacher.search
  if not search.num_runs:
    return
  _require(
    search.num_runs >= teacher.ensemble_size,
    'teacher.search.num_runs',
    search.num_runs,
    f"0, or at least the teacher's {teacher.ensemble_size} members",
  )
  _require(
    held_out <= search.held_out_fraction,
    'teacher.search.held_out_fraction',
    search.held_out_fraction,
    f"at least the student's own {held_out}, so that the teacher does not "
    'train on examples that the student holds out',
  )


def _check_optimizer(
  config: optimization.OptimizationConfig, multiplier: float
) -> None:
  """Raises an InputError unless Model Garden can build the optimizer."""
  if config == optimization.OptimizationConfig():
    return  # The published optimizer takes its place.
  name = config.optimizer.type
  try:
    factory = optimization.OptimizerFactory(config)
    factory.build_optimizer(factory.build_learning_rate())
  except (KeyError, TypeError, ValueError) as error:
    raise InputError(
      'trainer.optimizer_config',
      f'{name} with learning rate {config.learning_rate.type}',
      'types and arguments that Model Garden knows, given for both '
      '`optimizer` and `learning_rate` or for neither',
      ADAM if name == 'adam' else ' '.join(str(error).split()),
    ) from error
  _require(
    config.ema is None,
    'trainer.optimizer_config.ema',
    config.ema,
    'left out, because the trainer does not support moving averages of weights',
  )
  # Scaling a gradient scales the step only if the step is linear in it.
  _require(
    name == 'sgd' or multiplier == 1,
    'task.fast_weight_learning_rate_multiplier',
    multiplier,
    f'1 with the optimizer {name}; other values need sgd',
    ADAM if name == 'adam' else '',
  )
  # The step sums the gradients over replicas before the optimizer gets them.
  clips = name == 'adamw' and config.optimizer.get().gradient_clip_norm  # pyright: ignore[reportOptionalMemberAccess]
  _require(
    not clips or clips < 0,
    'trainer.optimizer_config.optimizer.adamw.gradient_clip_norm',
    clips,
    '0, because it does not clip gradients that the step has already summed',
    'set global_clipnorm instead',
  )
