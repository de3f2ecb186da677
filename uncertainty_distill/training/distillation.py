"""Training, from a configuration as the user gave it."""

from __future__ import annotations

import copy
import os

from uncertainty_distill import configs, runs
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
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
    config: Not resolved; its objective is taken to be cross-entropy. A teacher
      that it names is of use for `task.initialize_from` alone.
    model_dir: The run folder.
    strategy: The devices.
    evaluate: Whether to evaluate on the clean test set while training.
    label: What to call it beside the progress bar.

  Raises:
    InputError: If something that the user gave is wrong.
  """
  config = copy.deepcopy(config)
  if config.task.objective.teacher:
    _take_teacher(config, config)
  config.task.objective.kind = 'cross_entropy'
  config.task.objective.teacher = ()
  config.task.objective.teacher_cache = ''
  checks.check(config, strategy)
  checks.check_initialization(config, trains_teacher=False)
  return session.train(
    session.resolve(config), model_dir, strategy, evaluate, label
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
    model_dir: The student's run folder; a teacher trained here lies in its
      folder `teacher`.
    strategy: The devices.
    evaluate: Whether to evaluate on the clean test set while training.
    label: What to call the student beside the progress bar.

  Returns:
    The student's run.

  Raises:
    InputError: If something that the user gave is wrong.
  """
  config = copy.deepcopy(config)
  checks.check(config, strategy)
  checks.check_teacher(config)
  checks.check_weight_tie(config)
  checks.check_initialization(config, trains_teacher=True)
  objective = config.task.objective
  trains_teacher = not objective.teacher
  if trains_teacher:
    directory = os.path.join(model_dir, 'teacher')
    checks.check(deep_ensemble.member_config(config), strategy)
    objective.teacher = _expected_teacher(config, model_dir, directory)
  resolved = session.resolve(config)
  _take_teacher(resolved, config)
  if trains_teacher:
    # Claimed first, so that a folder of another experiment stays as it is.
    if workers.is_chief(strategy):
      runs.claim_run(model_dir, resolved)
    objective.teacher = tuple(
      deep_ensemble.train_teacher(config, directory, strategy, evaluate)
    )
    _take_teacher(resolved, config)
  return session.train(resolved, model_dir, strategy, evaluate, label)


def _take_teacher(
  resolved: configs.ExperimentConfig, config: configs.ExperimentConfig
) -> None:
  """Puts the teacher's folders, as far as they are known, where they belong."""
  resolved.task.objective.teacher = config.task.objective.teacher
  if tuple(config.task.initialize_from) == configs.FROM_TEACHER:
    resolved.task.initialize_from = config.task.objective.teacher


def _expected_teacher(
  config: configs.ExperimentConfig, model_dir: str, directory: str
) -> tuple[str, ...]:
  """Returns the run folders of a teacher that is trained with its student.

  Which runs a search chooses is known at its end alone. Until then the student
  is claimed without a teacher; from then on it belongs to those that were
  chosen.

  Args:
    config: The student's experiment, not resolved.
    model_dir: The student's run folder.
    directory: The teacher's.

  Raises:
    InputError: If the student was taught by a search other than this one.
  """
  wanted = config.teacher
  if not wanted.search.num_runs:
    return tuple(deep_ensemble.member_paths(directory, wanted.ensemble_size))
  if not runs.is_run(model_dir):
    return ()
  there = runs.open_run(model_dir, 'model_dir').config
  chosen, found = there.task.objective.teacher, there.teacher
  if any(files.parent(path) != files.absolute(directory) for path in chosen):
    return ()  # A teacher that was given: the claim says so.
  if chosen and (
    (found.search, found.ensemble_size) != (wanted.search, wanted.ensemble_size)
  ):
    raise InputError(
      'model_dir',
      model_dir,
      'a new folder: the student in this one has '
      f'{found.ensemble_size} teachers out of another search, of '
      f'{found.search.num_runs} runs',
      "copy its folder 'teacher' to the new one to go on with the search",
    )
  return chosen
