"""Makes the experiment of a network that is trained without a teacher."""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Iterator

from uncertainty_distill.configs import given_values
from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.configs.resolution import member_config
from uncertainty_distill.errors import InputError


def standalone_config(config: ExperimentConfig) -> ExperimentConfig:
  """Returns the experiment of a network that is trained without a teacher.

  Args:
    config: The parsed experiment. A single network gets the hyperparameters of
      a teacher's member, but keeps its own seed, `block_l2`, `views` and
      `augmentation_seed`, and every value that was set for it.

  Raises:
    InputError: If a value was set to one thing for the single network and to
      another for a teacher's member.
  """
  if config.task.model.ensemble_size != 1:
    standalone = copy.deepcopy(config)
    task = standalone.task
    task.objective.kind, task.objective.weight_tie = 'cross_entropy', 0.0
    task.train_data.unlabeled = task.train_data.unlabeled_split = ''
    return standalone
  given, standalone = config.task, member_config(config)
  _keep_what_was_set(config, standalone)
  standalone.task.seed, standalone.task.block_l2 = given.seed, given.block_l2
  for name in 'views', 'augmentation_seed':
    setattr(standalone.task.train_data, name, getattr(given.train_data, name))
  return standalone


def _keep_what_was_set(
  given: ExperimentConfig, standalone: ExperimentConfig
) -> None:
  """Gives a single network the values that were set for it.

  Args:
    given: The experiment as it was given.
    standalone: The experiment of a teacher's member, changed in place.

  Raises:
    InputError: If a value was also set for the teacher, to something else.
  """
  usual = given_values.registered(given)
  if usual is None:
    return
  names = given_values.set_names(given)
  _keep_architecture(given, standalone, usual)
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
    setattr(operator.attrgetter(parents)(standalone), last, value)


def _keep_architecture(
  given: ExperimentConfig, standalone: ExperimentConfig, usual: ExperimentConfig
) -> None:
  """Gives a single network the architecture that was chosen for it.

  Args:
    given: The experiment as it was given.
    standalone: The experiment of a teacher's member, changed in place.
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
    standalone.task.model.architecture = copy.deepcopy(own)


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
