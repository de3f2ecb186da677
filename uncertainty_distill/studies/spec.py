"""What a study is, and how its YAML file says it.

    title: Distillation on handwritten digits
    experiment: digits_wrn10_1     # a registered experiment
    params_override: {...}         # of every system and of the teacher
    seeds: [0, 1, 2]               # of every system but the teacher
    systems:                       # from labels to overrides of their own
      batch_ensemble: {task: {objective: {kind: cross_entropy}}}
      head_student: {task: {objective: {kind: head}}}
    export: head_student           # what to write as a SavedModel

One teacher, `deep_ensemble`, serves every student and every seed, as in the
paper. It is trained once, from the experiment's `teacher` section, unless
`task.objective.teacher` names run folders. A `task.objective.teacher_cache` in
`params_override` is made by the first student and read by all.
"""

from __future__ import annotations

from collections.abc import Mapping
import copy
import dataclasses
import re
from typing import Any

from uncertainty_distill import configs
from uncertainty_distill.errors import InputError

TEACHER = 'deep_ensemble'

# What else lies beside the runs.
_RESERVED = (TEACHER, 'plots', 'saved_model')


@dataclasses.dataclass(frozen=True)
class Study:
  """A study, read and checked.

  Attributes:
    title: Of its report.
    config: The experiment that all systems share, not resolved.
    seeds: Of the systems.
    systems: From labels to overrides of `config`.
    export: The label of the system to export; empty for none.
  """

  title: str
  config: configs.ExperimentConfig
  seeds: tuple[int, ...]
  systems: Mapping[str, Mapping[str, Any]]
  export: str

  def system_config(self, label: str, seed: int) -> configs.ExperimentConfig:
    """Returns the experiment of one system and seed, not resolved.

    Raises:
      InputError: If the system's overrides are wrong.
    """
    config = copy.deepcopy(self.config)
    configs.override(config, self.systems[label], f'systems.{label}')
    config.task.seed = seed
    return config


_FIELDS = {
    'title': str,
    'experiment': str,
    'params_override': dict,
    'seeds': list,
    'systems': dict,
    'export': str,
}


def read_study(path: str, data_dir: str = '', tpu: str | None = None) -> Study:
  """Reads a study from its YAML file.

  Args:
    path: Of the file.
    data_dir: Where TFDS keeps its datasets; empty for the study's own value.
    tpu: The TPU to use, if any.

  Raises:
    InputError: If the file, a name in it or a value is wrong.
  """
  values = configs.read_yaml(path, '--study')
  for name, value in values.items():
    wanted = _FIELDS.get(name)
    if wanted is None or not isinstance(value, wanted):
      raise InputError(
          f'{name} in {path}', value,
          wanted.__name__ if wanted else 'one of ' + ', '.join(_FIELDS),
      )
  for name in 'experiment', 'systems':
    if not values.get(name):
      raise InputError(f'{name} in {path}', None, 'a value')
  config = configs.load_config(values['experiment'])
  configs.override(config, values.get('params_override', {}), path)
  config.task.train_data.data_dir = data_dir or config.task.train_data.data_dir
  config.runtime.tpu = tpu or config.runtime.tpu
  study = Study(
      title=values.get('title', values['experiment']),
      config=config,
      seeds=tuple(values.get('seeds', [0])),
      systems=values['systems'],
      export=values.get('export', ''),
  )
  _check(study, path)
  return study


def _check(study: Study, path: str) -> None:
  """Raises an InputError for what the types of the fields do not show."""
  seeds = study.seeds
  if (
      not seeds
      or not all(type(s) is int and s >= 0 for s in seeds)  # A bool is no seed.
      or len(set(seeds)) < len(seeds)
  ):
    raise InputError(f'seeds in {path}', list(seeds), 'distinct integers >= 0')
  for label, overrides in study.systems.items():
    # YAML reads a bare 1 or yes as something else than text.
    if (
        not isinstance(label, str)
        or not re.fullmatch(r'\w+', label)
        or label in _RESERVED
    ):
      raise InputError(
          f'systems in {path}', label,
          'labels of letters, digits and _, other than ' + ', '.join(_RESERVED),
      )
    if not isinstance(overrides, dict):
      raise InputError(f'systems.{label} in {path}', overrides, 'a mapping')
    _check_shared(study, label, path)
  if study.export and study.export not in study.systems:
    raise InputError(
        f'export in {path}', study.export, 'one of ' + ', '.join(study.systems)
    )


def _check_shared(study: Study, label: str, path: str) -> None:
  """Raises an InputError if a system overrides what all of them share."""
  ours, its = study.config, study.system_config(label, study.seeds[0])
  for name, shared, own in (
      ('teacher', ours.teacher, its.teacher),
      ('evaluation', ours.evaluation, its.evaluation),
      ('task.train_data.name', ours.task.train_data.name,
       its.task.train_data.name),
      ('task.validation_data', ours.task.validation_data,
       its.task.validation_data),
      ('task.objective.teacher', ours.task.objective.teacher,
       its.task.objective.teacher),
  ):
    if own != shared:
      raise InputError(
          f'systems.{label} in {path}', study.systems[label],
          f'{name} as for the other systems', 'set it in params_override'
      )
