"""Decides by their configurations whether two runs are the same."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

from uncertainty_distill import configs
from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.io import files

# The fields that hold paths on which a run depends, or lists of such paths.
_PATHS = (
  ('task.objective', 'teacher'),
  ('task.objective', 'teacher_cache'),
  ('task', 'initialize_from'),
)

# The values that may differ when a run is continued: where it runs, how often
# it reports, what it is evaluated on, which models are refused, and what to do
# if it diverges.
_NOT_IDENTITY = (
  ('runtime',),
  ('evaluation',),
  ('teacher',),
  ('check_labels',),
  ('task', 'validation_data'),
  ('task', 'train_data', 'data_dir'),
  ('task', 'train_data', 'image_cache'),
  ('task', 'train_data', 'test_split'),
  ('task', 'objective', 'teacher_cache'),
  ('trainer', 'steps_per_loop'),
  ('trainer', 'summary_interval'),
  ('trainer', 'checkpoint_interval'),
  ('trainer', 'validation_interval'),
  ('trainer', 'validation_steps'),
  ('trainer', 'validation_summary_subdir'),
  ('trainer', 'max_to_keep'),
  ('trainer', 'recovery_max_trials'),
  ('trainer', 'recovery_learning_rate_factor'),
  ('trainer', 'loss_upper_bound'),
  ('trainer', 'recovery_begin_steps'),
)


def map_paths(
  config: ExperimentConfig, change: Callable[[str], str]
) -> ExperimentConfig:
  """Returns a copy with a function applied to each path that is not empty."""
  config = copy.deepcopy(config)
  for parents, name in _PATHS:
    holder = operator.attrgetter(parents)(config)
    value = getattr(holder, name)
    if isinstance(value, str):
      value = change(value) if value else value
    else:
      value = tuple(map(change, value))
    setattr(holder, name, value)
  return config


def to_plain(value: Any) -> Any:
  """Returns the value with lists in place of tuples, which safe YAML lacks."""
  if isinstance(value, dict):
    return {key: to_plain(element) for key, element in value.items()}
  if isinstance(value, (list, tuple)):
    return [to_plain(element) for element in value]
  return value


def _identity(config: ExperimentConfig) -> dict[str, Any]:
  """Returns the values in which two configurations of one run must agree."""
  config = map_paths(config, files.absolute)
  # Older runs store these paths as they were given.
  configs.make_datasets_absolute(config)
  # Keras numbers unnamed layers, so its definition of a network varies.
  given = config.task.model.architecture.keras_model
  given.definition = given.identity
  values = to_plain(config.as_dict())
  # Differences name these two last, since both follow from the other fields.
  for derived in 'train_steps', 'optimizer_config':
    values['trainer'][derived] = values['trainer'].pop(derived)
  for *parents, name in _NOT_IDENTITY:
    holder = values
    for parent in parents:
      holder = holder[parent]
    holder.pop(name)
  return values


def difference(
  stored: ExperimentConfig, requested: ExperimentConfig
) -> tuple[str, Any, Any] | None:
  """Returns the first difference between two runs, if there is one.

  Returns:
    The name of the value, the stored value and the requested value; None if
    both are the same run.
  """
  return _first_difference(_identity(stored), _identity(requested))


def _first_difference(
  stored: Any, requested: Any, name: str = ''
) -> tuple[str, Any, Any] | None:
  """Returns the name and the values of the first difference, or None."""
  if isinstance(stored, dict) and isinstance(requested, dict):
    for key in {**requested, **stored}:
      found = _first_difference(
        stored.get(key), requested.get(key), f'{name}.{key}' if name else key
      )
      if found:
        return found
    return None
  return None if stored == requested else (name, stored, requested)
