"""What users give, as the rest of the package takes it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from uncertainty_distill import configs, distribution
from uncertainty_distill.errors import InputError

import tensorflow as tf

Path = str | os.PathLike[str]
Paths = Path | Sequence[Path]

# What the commands have flags for; other flags have a parameter's name.
_PARAMETERS = {
  'calibration': 'calibration_file',
  'ensemble_size': 'config.task.model.ensemble_size',
  'experiment': 'name',
  'objective': 'config.task.objective.kind',
  'run': 'path',
  'teacher_cache': 'config.task.objective.teacher_cache',
  'temperature': 'fit_temperature',
  'tpu': 'config.runtime.tpu',
}

_Arguments = ParamSpec('_Arguments')
_Returned = TypeVar('_Returned')

# In a notebook TensorFlow would also print what it tells its log.
tf.get_logger().setLevel('ERROR')

_strategies: dict[str, tf.distribute.Strategy] = {}


def without_flags(
  **parameters: str,
) -> Callable[
  [Callable[_Arguments, _Returned]], Callable[_Arguments, _Returned]
]:
  """Has a function's errors name its parameters, where commands have flags.

  Args:
    **parameters: From flags to parameters, where they are not as elsewhere.
  """
  names = _PARAMETERS | parameters

  def named(text: str) -> str:
    return re.sub(
      r'(?<![\w-])--(\w+)', lambda flag: names.get(flag[1], flag[1]), text
    )

  def decorate(function):
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
      try:
        return function(*args, **kwargs)
      except InputError as error:
        error.argument, error.args = named(error.argument), (named(str(error)),)
        raise

    return wrapped

  return decorate


def as_list(paths: Paths) -> list[str]:
  """Returns one path, or several, as a list."""
  if isinstance(paths, (str, os.PathLike)):
    paths = [paths]
  return [os.fspath(path) for path in paths]


def strategy_for(
  config: configs.ExperimentConfig,
) -> tf.distribute.Strategy:
  """Returns the devices of an experiment, the same ones each time.

  Raises:
    InputError: If they are not there.
  """
  # A TPU that is initialised again forgets the models on it, and TensorFlow
  # takes the collective operations of two strategies for one another's.
  key = repr(config.runtime.as_dict())
  if key not in _strategies:
    _strategies[key] = distribution.make_strategy(config.runtime)
  return _strategies[key]
