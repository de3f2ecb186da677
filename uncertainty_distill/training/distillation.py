"""Trains an experiment as the user gave it, with its teacher where needed."""

from __future__ import annotations

import copy
import os

from uncertainty_distill import configs, runs
from uncertainty_distill.distribution import workers
from uncertainty_distill.io import files
from uncertainty_distill.training import checks, deep_ensemble, session

import tensorflow as tf


def train(
  config: configs.ExperimentConfig,
  model_dir: str,
  strategy: tf.distribute.Strategy,
  evaluate: bool = True,
  label: str = 'training',
) -> runs.RunFolder:
  """Trains a network or a BatchEnsemble that has no teacher.

  Args:
    config: The experiment, not resolved; its objective is taken to be
      cross-entropy. A teacher that it names serves `task.initialize_from`
      alone.
    model_dir: The run folder.
    strategy: The devices.
    evaluate: Whether to evaluate on the clean test set while training.
    label: The name beside the progress bar.

  Raises:
    InputError: If something that the user gave is wrong.
  """
  config = copy.deepcopy(config)
  if config.task.objective.teacher:
    _initialize_from_teacher(config)
  config.task.objective.kind = 'cross_entropy'
  config.task.objective.teacher = ()
  config.task.objective.teacher_cache = ''
  checks.check(config, strategy)
  checks.check_initialization(config, trains_teacher=False)
  return session.train(
    checks.resolve(config), model_dir, strategy, evaluate, label
  )


def distill(
  config: configs.ExperimentConfig,
  model_dir: str,
  strategy: tf.distribute.Strategy,
  evaluate: bool = True,
  label: str = 'student',
) -> runs.RunFolder:
  """Trains a teacher where none is given, then the student.

  Args:
    config: The student's experiment, not resolved.
    model_dir: The student's run folder; a teacher that is trained here is in
      its folder `teacher`.
    strategy: The devices.
    evaluate: Whether to evaluate on the clean test set while training.
    label: The student's name beside the progress bar.

  Returns:
    The student's run.

  Raises:
    InputError: If something that the user gave is wrong.
  """
  config = copy.deepcopy(config)
  objective = config.task.objective
  checks.check(config, strategy)
  checks.check_teacher(config)
  checks.check_initialization(config, trains_teacher=True)
  if not objective.teacher:
    directory = os.path.join(model_dir, 'teacher')
    checks.check(deep_ensemble.member_config(config), strategy)
    student = copy.deepcopy(config)
    student.task.objective.teacher = _expected_teacher(
      config, model_dir, directory
    )
    student = _resolve(student)
    # Claimed first, so that a folder of another experiment stays as it is.
    if workers.is_chief(strategy):
      runs.claim_run(model_dir, student)
    objective.teacher = tuple(
      deep_ensemble.train_teacher(config, directory, strategy, evaluate)
    )
  return session.train(_resolve(config), model_dir, strategy, evaluate, label)


def _resolve(config: configs.ExperimentConfig) -> configs.ExperimentConfig:
  """Returns a student's experiment, resolved."""
  resolved = checks.resolve(config)
  _initialize_from_teacher(resolved)
  return resolved


def _initialize_from_teacher(config: configs.ExperimentConfig) -> None:
  """Puts the teacher's folders, if they are known, in place of their name."""
  if tuple(config.task.initialize_from) == configs.FROM_TEACHER:
    config.task.initialize_from = config.task.objective.teacher


def _expected_teacher(
  config: configs.ExperimentConfig, model_dir: str, directory: str
) -> tuple[str, ...]:
  """Returns the folders of a teacher that is trained with its student.

  Which runs a search chooses is known at its end alone. Until then the student
  is claimed without a teacher, and from then on with the chosen runs.

  Args:
    config: The student's experiment, not resolved.
    model_dir: The student's run folder.
    directory: The teacher's.
  """
  teacher = config.teacher
  if not teacher.search.num_runs:
    return tuple(deep_ensemble.member_paths(directory, teacher.ensemble_size))
  if not runs.is_run(model_dir):
    return ()
  stored = runs.open_run(model_dir, 'model_dir').config
  chosen = stored.task.objective.teacher
  is_this_search = (stored.teacher.search, stored.teacher.ensemble_size) == (
    teacher.search,
    teacher.ensemble_size,
  ) and all(files.parent(p) == files.absolute(directory) for p in chosen)
  # Of another teacher the claim says that the folder belongs to it.
  return chosen if is_this_search else ()
