"""The evaluation of systems, spread over the machines of a pool."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence

from uncertainty_distill import configs, evaluation, training
from uncertainty_distill.distribution import scheduling
from uncertainty_distill.io import files

import tensorflow as tf

# The largest number of groups in a job; the systems of a group have the same
# runs. The systems of a job share every image, but also one memory.
_MAX_TOGETHER = 8


@dataclasses.dataclass
class EvaluationJob(scheduling.UnsavedJob):
  """Systems to evaluate together.

  Attributes:
    label: The name in lines of progress.
    config: The experiment, which gives the test set and the corruptions.
    systems: The systems.
  """

  label: str
  config: configs.ExperimentConfig
  systems: tuple[evaluation.System, ...]

  def run(self, strategy: tf.distribute.Strategy) -> evaluation.Evaluation:
    """Evaluates the systems on devices, in this process."""
    experiment = training.open_experiment(self.config, strategy)
    return evaluation.evaluate_systems(self.systems, experiment)


def evaluate_on_pool(
  systems: Sequence[evaluation.System],
  experiment: training.Experiment,
  keep: Callable[[evaluation.Evaluation], object],
  pool: scheduling.Pool,
  show: Callable[[scheduling.Schedule], object],
) -> None:
  """Evaluates systems as `evaluation.evaluate_systems` does, but on a pool.

  Args:
    systems: The systems, whose files all machines must share.
    experiment: The experiment, which gives the test set and the corruptions.
    keep: A function that receives the results of some systems as they come.
    pool: The pool that evaluates.
    show: See `scheduling.run`.
  """
  groups = evaluation.by_runs(
    dataclasses.replace(s, paths=tuple(map(files.absolute, s.paths)))
    for s in systems
  )
  number = max(
    min(pool.parallel_evaluations, len(groups)),
    -(-len(groups) // _MAX_TOGETHER),
  )
  tasks = []
  for index in range(number):
    name = f'evaluation {index + 1} of {number}'
    chosen = tuple(s for group in groups[index::number] for s in group)
    job = EvaluationJob(name, copy.deepcopy(experiment.given), chosen)
    tasks.append(scheduling.Task(name, lambda job=job: job, finish=keep))
  scheduling.raise_failure(scheduling.run(tasks, pool, show))
