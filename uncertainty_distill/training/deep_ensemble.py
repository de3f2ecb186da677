"""The teacher that is trained where none is given."""

from __future__ import annotations

import os

from uncertainty_distill import configs, runs
from uncertainty_distill.training import hyper_deep_ensemble, session

import tensorflow as tf


def member_paths(directory: str, ensemble_size: int) -> list[str]:
  """Returns the run folders of a deep ensemble's members, if not searched."""
  return [os.path.join(directory, f'member_{i}') for i in range(ensemble_size)]


def teacher_runs(config: configs.ExperimentConfig, directory: str) -> list[str]:
  """Returns all run folders that `train_teacher` trains."""
  if config.teacher.search.num_runs:
    return hyper_deep_ensemble.run_paths(
      directory, config.teacher.search.num_runs
    )
  return member_paths(directory, config.teacher.ensemble_size)


def trained_teacher(
  config: configs.ExperimentConfig, directory: str
) -> list[str]:
  """Returns the members' run folders of a teacher that is complete, else none.

  Args:
    config: As `train_teacher` took it.
    directory: Likewise.
  """
  if config.teacher.search.num_runs:
    # Of the runs that were not chosen, some may have diverged.
    paths = hyper_deep_ensemble.chosen(config, directory)
  else:
    paths = member_paths(directory, config.teacher.ensemble_size)
  for path in paths:
    if not runs.is_run(path) or not runs.open_run(path, 'teacher').is_complete:
      return []
  return paths


def member_config(config: configs.ExperimentConfig) -> configs.ExperimentConfig:
  """Returns the experiment that `train_teacher` trains first, not resolved.

  What is wrong with it is wrong with all members, or with all runs of a search.
  """
  if config.teacher.search.num_runs:
    return configs.default_run(config)
  return configs.member_config(config)


def train_teacher(
  config: configs.ExperimentConfig,
  directory: str,
  strategy: tf.distribute.Strategy,
  evaluate: bool = True,
) -> list[str]:
  """Trains the members of a deep ensemble, each once.

  Args:
    config: The student's experiment, not resolved; its `teacher` says what the
      members are, and whether they come from a search.
    directory: Where the members' run folders lie, as `member_0` and on, or
      those of the search's runs, as `run_000` and on. Complete ones are left
      alone.
    strategy: The devices.
    evaluate: Whether to evaluate them on the clean test set now and then.

  Returns:
    The members' run folders.

  Raises:
    InputError: If the configuration or a folder is wrong.
    DivergedError: If a member diverges; a search goes on without that run.
  """
  if config.task.objective.teacher_cache:
    # Now rather than when the teacher is trained.
    runs.make_writable(
      config.task.objective.teacher_cache, 'task.objective.teacher_cache'
    )
  if config.teacher.search.num_runs:
    return hyper_deep_ensemble.search(config, directory, strategy, evaluate)
  paths = member_paths(directory, config.teacher.ensemble_size)
  for index, path in enumerate(paths):
    member = session.resolve(configs.member_config(config, index))
    label = f'teacher {index + 1} of {len(paths)}'
    session.train(member, path, strategy, evaluate, label)
  return paths
