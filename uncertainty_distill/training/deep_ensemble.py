"""The teacher that is trained where none is given."""

from __future__ import annotations

import os

from uncertainty_distill import configs, runs
from uncertainty_distill.training import hyper_deep_ensemble, session
from uncertainty_distill.training.opened_experiment import Experiment


def member_paths(directory: str, ensemble_size: int) -> list[str]:
  """Returns the run folders of a deep ensemble that is not from a search."""
  return [os.path.join(directory, f'member_{i}') for i in range(ensemble_size)]


def teacher_paths(
  config: configs.ExperimentConfig, directory: str
) -> list[str]:
  """Returns all run folders that `train_teacher` trains."""
  if config.teacher.search.num_runs:
    return hyper_deep_ensemble.run_paths(
      directory, config.teacher.search.num_runs
    )
  return member_paths(directory, config.teacher.ensemble_size)


def complete_members(
  config: configs.ExperimentConfig, directory: str
) -> list[str]:
  """Returns the members' run folders if the teacher is complete, else none.

  Args:
    config: The student's experiment, as for `train_teacher`.
    directory: The folder of the teacher.
  """
  if config.teacher.search.num_runs:
    # Runs that were not chosen may have diverged.
    paths = hyper_deep_ensemble.chosen_paths(config, directory)
  else:
    paths = member_paths(directory, config.teacher.ensemble_size)
  for path in paths:
    if not runs.is_run(path) or not runs.open_run(path, 'teacher').is_complete:
      return []
  return paths


def train_teacher(
  experiment: Experiment, directory: str, evaluate: bool = True
) -> list[str]:
  """Trains the members of a deep ensemble, each once.

  Args:
    experiment: The student's experiment; its `teacher` describes the members,
      and the search that they come from, if any.
    directory: The folder that holds the run folders: `member_0` and so on, or
      for a search `run_000` and so on. Complete runs are left alone.
    evaluate: Whether to evaluate on the clean test set while training.

  Returns:
    The members' run folders.

  Raises:
    InputError: If the configuration or a folder is wrong.
    DivergedError: If a member diverges; a search goes on without that run.
  """
  config = experiment.config
  if config.task.objective.teacher_cache:
    # Checked now rather than after the teacher is trained.
    runs.make_writable(
      config.task.objective.teacher_cache, 'task.objective.teacher_cache'
    )
  if config.teacher.search.num_runs:
    return hyper_deep_ensemble.search(experiment, directory, evaluate)
  members = experiment.teacher_runs
  paths = member_paths(directory, len(members))
  for index, (path, member) in enumerate(zip(paths, members, strict=True)):
    label = f'teacher {index + 1} of {len(paths)}'
    session.train(member, path, evaluate, label)
  return paths
