"""What users give, as the rest of the package takes it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from uncertainty_distill import configs, distribution

import tensorflow as tf

Path = str | os.PathLike[str]
Paths = Path | Sequence[Path]

# In a notebook TensorFlow would also print what it tells its log.
tf.get_logger().setLevel('ERROR')

_strategies: dict[str, tf.distribute.Strategy] = {}


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
