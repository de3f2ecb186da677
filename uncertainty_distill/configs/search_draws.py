"""The runs of a search for a hyper-deep ensemble, draw by draw."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.configs.resolution import member_config

import numpy as np

_NUM_BLOCKS = 6


def default_run(config: ExperimentConfig) -> ExperimentConfig:
  """Returns the experiment of run 0, with the teacher's ordinary values.

  Args:
    config: The student's experiment, not resolved; its `teacher.search` says
      what is searched.

  Returns:
    A member's experiment that leaves the search's share of the examples out.
  """
  run = member_config(config)
  share = config.teacher.search.held_out_fraction
  run.task.train_data.held_out_fraction = share
  return run


def search_run(
  default: ExperimentConfig, index: int, num_examples: int
) -> ExperimentConfig:
  """Returns the experiment of one run.

  What is drawn depends on the seed and the index alone, so that a search can be
  extended: its first runs stay as they are.

  Args:
    default: What `default_run` returned, resolved.
    index: Of the run; 0 for the default itself.
    num_examples: That the runs train on, by which the range of L2 is divided.

  Returns:
    The same experiment with six lambdas and a label smoothing, drawn
    log-uniformly, and a seed of its own (Mariet et al., 2020, Appendix B.1).
  """
  run = copy.deepcopy(default)
  if not index:
    return run
  search, task = run.teacher.search, run.task
  # Unlike a Generator's, the numbers of a RandomState are the same in every
  # version of NumPy.
  random = np.random.RandomState([task.seed, index])
  task.block_l2 = tuple(
    _log_uniform(random, [bound / num_examples for bound in search.l2_range])
    for _ in range(_NUM_BLOCKS)
  )
  task.objective.label_smoothing = _log_uniform(
    random, search.label_smoothing_range
  )
  task.seed += index
  return run


def _log_uniform(
  random: np.random.RandomState, bounds: Sequence[float]
) -> float:
  """Draws a number whose logarithm is uniform between the bounds'."""
  low, high = map(math.log, bounds)
  value = math.exp(low + (high - low) * random.random_sample())
  # On which all machines agree, whatever the last digits of their logarithms.
  return float(f'{value:.6g}')
