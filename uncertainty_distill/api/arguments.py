"""Arguments of the public functions, as the rest of the package takes them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from uncertainty_distill import configs, distribution
from uncertainty_distill.io import files

import tensorflow as tf

Path = str | os.PathLike[str]
Paths = Path | Sequence[Path]

# TensorFlow would print its log in a notebook.
tf.get_logger().setLevel('ERROR')

_strategies: dict[str, tf.distribute.Strategy] = {}


def as_list(paths: Paths) -> list[str]:
  """Returns one path or several as a list of strings."""
  if isinstance(paths, (str, os.PathLike)):
    paths = [paths]
  return [files.expanded(path) for path in paths]


def strategy_for(
  config: configs.ExperimentConfig,
) -> tf.distribute.Strategy:
  """Returns the devices of an experiment, the same object each time.

  Raises:
    InputError: If a device is missing.
  """
  # A TPU that is initialized again loses the models on it, and TensorFlow
  # confuses the collective operations of two strategies.
  key = repr(config.runtime.as_dict())
  if key not in _strategies:
    _strategies[key] = distribution.make_strategy(config.runtime)
  return _strategies[key]
