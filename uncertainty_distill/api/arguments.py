"""Converts arguments of the public functions for the rest of the package."""

from __future__ import annotations

import os
from collections.abc import Sequence

from uncertainty_distill import configs, distribution
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import tensorflow as tf

Path = str | os.PathLike[str]
Paths = Path | Sequence[Path]

# Otherwise TensorFlow would print its log in a notebook.
tf.get_logger().setLevel('ERROR')

_strategies: dict[str, tf.distribute.Strategy] = {}


def as_list(paths: Paths) -> list[str]:
  """Returns one path or several as a list of strings.

  Raises:
    InputError: If there is something other than paths.
  """
  several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
  try:
    return [files.expanded(path) for path in several]
  except TypeError as error:
    raise InputError(
      'path',
      type(paths).__name__,
      'a path or a list of paths, such as the `path` of a run',
    ) from error


def strategy_for(
  config: configs.ExperimentConfig,
) -> tf.distribute.Strategy:
  """Returns the devices of an experiment, always the same object.

  Raises:
    InputError: If a device is missing.
  """
  # A TPU loses its models when it is initialized again, and TensorFlow confuses
  # the collective operations of two strategies. How to compute on the devices
  # does not make them others.
  key = repr(config.runtime.replace(mixed_precision_dtype=None).as_dict())
  if key not in _strategies:
    _strategies[key] = distribution.make_strategy(config.runtime)
  return _strategies[key]
