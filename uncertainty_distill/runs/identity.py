"""What makes a run the one that it is."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.io import files

# The fields that name files, on which a run depends, or lists of them.
_PATHS = (
  ('task.objective', 'teacher'),
  ('task.objective', 'teacher_cache'),
  ('task', 'initialize_from'),
)

# What may differ when a folder's run is taken up again: where it runs, how
# often it reports, on what it is evaluated, and what is done if it diverges.
_NOT_IDENTITY = (
  ('runtime',),
  ('evaluation',),
  ('teacher',),
  ('task', 'validation_data'),
  ('task', 'train_data', 'data_dir'),
  ('task', 'objective', 'teacher_cache'),
  ('trainer', 'steps_per_loop'),
  ('trainer', 'summary_interval'),
  ('trainer', 'checkpoint_interval'),
  ('trainer', 'validation_interval'),
  ('trainer', 'max_to_keep'),
  ('trainer', 'recovery_max_trials'),
  ('trainer', 'recovery_learning_rate_factor'),
  ('trainer', 'loss_upper_bound'),
  ('trainer', 'recovery_begin_steps'),
)


def with_paths(
  config: ExperimentConfig, change: Callable[[str], str]
) -> ExperimentConfig:
  """Returns a copy with every path in it changed; an empty one stays."""
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


def plain(value: Any) -> Any:
  """Returns the value with tuples as lists, which safe YAML can hold."""
  if isinstance(value, dict):
    return {key: plain(element) for key, element in value.items()}
  if isinstance(value, (list, tuple)):
    return [plain(element) for element in value]
  return value


def _identity(config: ExperimentConfig) -> dict[str, Any]:
  """Returns what makes a run the one that it is, as plain values."""
  values = plain(with_paths(config, files.absolute).as_dict())
  # Named last among differences: both follow from the other fields.
  for derived in 'train_steps', 'optimizer_config':
    values['trainer'][derived] = values['trainer'].pop(derived)
  for *parents, name in _NOT_IDENTITY:
    holder = values
    for parent in parents:
      holder = holder[parent]
    holder.pop(name)
  return values


def difference(
  old: ExperimentConfig, new: ExperimentConfig
) -> tuple[str, Any, Any] | None:
  """Returns the first name and the two values by which runs differ, or None."""
  return _first_difference(_identity(old), _identity(new))


def _first_difference(old: Any, new: Any, name: str = '') -> tuple | None:
  """Returns the first (name, old value, new value) that differ, or None."""
  if isinstance(old, dict) and isinstance(new, dict):
    for key in {**new, **old}:
      found = _first_difference(
        old.get(key), new.get(key), f'{name}.{key}' if name else key
      )
      if found:
        return found
    return None
  return None if old == new else (name, old, new)
