"""Makes runs into tasks that other processes and machines can train."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

from uncertainty_distill import configs
from uncertainty_distill.distribution import scheduling
from uncertainty_distill.distribution.scheduling import Task
from uncertainty_distill.io import files
from uncertainty_distill.runs import checkpoints
from uncertainty_distill.training import (
  deep_ensemble,
  distillation,
  hyper_deep_ensemble,
  session,
)
from uncertainty_distill.training.opened_experiment import (
  Experiment,
  open_experiment,
)

import tensorflow as tf


@dataclasses.dataclass
class TrainingJob:
  """A run to train.

  Attributes:
    label: The name in progress lines.
    config: The configuration, resolved or not.
    path: The run folder.
    evaluate: Whether to evaluate on the clean test set while training.
    num_steps: The number of training steps.
    searched: Whether this is a run of a search. The search needs the run's
      predictions, and goes on without the run if it diverges.
  """

  label: str
  config: configs.ExperimentConfig
  path: str
  evaluate: bool
  num_steps: int = 0
  searched: bool = False

  @property
  def runtime(self) -> configs.RuntimeConfig:
    """The devices and threads to use."""
    return self.config.runtime

  @property
  def step(self) -> int:
    """The step of the newest checkpoint."""
    return checkpoints.newest_step(self.path)

  def run(self, strategy: tf.distribute.Strategy) -> None:
    """Trains on devices, in this process."""
    experiment = open_experiment(self.config, strategy)
    if self.searched:
      hyper_deep_ensemble.train_run(
        experiment, self.path, self.evaluate, self.label
      )
    else:
      distillation.train(experiment, self.path, self.evaluate, self.label)


def training_task(
  label: str,
  prepare: Callable[[], Experiment],
  path: str,
  evaluate: bool,
  needs: Sequence[str] = (),
  cost: float = 1.0,
  searched: bool = False,
) -> Task:
  """Returns a task that trains a run.

  The task starts nothing if the run is complete.

  Args:
    label: The name of the task.
    prepare: A function that returns the experiment. It is called once the
      needed tasks are done.
    path: The run folder.
    evaluate: Whether to evaluate on the clean test set while training.
    needs: The names of the tasks that must be done first.
    cost: See `Task`.
    searched: Whether this is a run of a search.
  """

  def make_job() -> TrainingJob | None:
    experiment = prepare()
    if searched and hyper_deep_ensemble.is_run_finished(experiment, path):
      return None
    if not searched and session.finished_run(experiment, path):
      return None
    config, given = copy.deepcopy(experiment.config), experiment.given.trainer
    # Values that suit these devices may not suit those that train the run.
    config.trainer.steps_per_loop = given.steps_per_loop
    config.trainer.summary_interval = given.summary_interval
    return TrainingJob(
      label,
      config,
      files.absolute(path),
      evaluate,
      config.trainer.train_steps,
      searched,
    )

  return Task(label, make_job, needs, cost)


def teacher_tasks(
  experiment: Experiment, directory: str, evaluate: bool, label: str = 'teacher'
) -> list[Task]:
  """Returns the tasks that train the runs of a teacher.

  Args:
    experiment: The student's experiment.
    directory: The folder of the teacher.
    evaluate: Whether to evaluate on the clean test set while training.
    label: The beginning of the names of the tasks.

  Raises:
    InputError: If the teacher's configuration is wrong.
  """
  members = experiment.teacher_runs
  paths = deep_ensemble.teacher_paths(experiment.config, directory)
  return [
    training_task(
      f'{label}, {os.path.basename(path)}',
      functools.partial(copy.copy, member),
      path,
      evaluate,
      cost=training_cost(member.config),
      searched=bool(experiment.config.teacher.search.num_runs),
    )
    for path, member in zip(paths, members, strict=True)
  ]


def train_members(
  experiment: Experiment,
  directory: str,
  evaluate: bool,
  pool: scheduling.Pool,
  show: Callable[[scheduling.Schedule], object] = lambda schedule: None,
) -> None:
  """Trains the runs of a teacher on a pool.

  Args:
    experiment: The student's experiment.
    directory: The folder of the teacher.
    evaluate: Whether to evaluate on the clean test set while training.
    pool: The pool to train on.
    show: See `scheduling.run`.

  Raises:
    InputError: If the configuration or a folder is wrong.
    DivergedError: If a member diverges; a search goes on without that run.
  """
  tasks = teacher_tasks(experiment, directory, evaluate)
  for error in scheduling.run(tasks, pool, show).values():
    raise error


def training_cost(config: configs.ResolvedConfig) -> float:
  """Returns the cost of a run, to compare it with other runs of a study.

  It is the number of training examples times the number of members.
  """
  task = config.task
  examples = config.trainer.train_steps * task.train_data.global_batch_size
  return float(examples * task.model.ensemble_size)
