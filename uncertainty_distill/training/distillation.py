"""Trains an experiment, and first its teacher where needed."""

from __future__ import annotations

import os
from collections.abc import Callable

from uncertainty_distill import configs, models, runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.training import (
  deep_ensemble,
  initialization,
  session,
  teacher,
)
from uncertainty_distill.training.opened_experiment import Experiment


def train(
  experiment: Experiment,
  model_dir: str,
  evaluate: bool = True,
  label: str = 'training',
  train_members: Callable[[Experiment, str, bool], object] | None = None,
) -> runs.RunFolder:
  """Trains a model, and first its teacher if it needs one and none is given.

  Args:
    experiment: The experiment.
    model_dir: The run folder. A teacher that is trained here goes to the folder
      `teacher` in it.
    evaluate: Whether to evaluate on the clean test set while training.
    label: The name beside the progress bar.
    train_members: A function that trains the runs of the teacher, such as
      `jobs.train_members` on many machines. It is called with the experiment,
      the teacher's folder and `evaluate`. By default the runs are trained here,
      one after the other.

  Returns:
    The model's run.

  Raises:
    InputError: If something that the user gave is wrong.
  """
  objective = experiment.config.task.objective
  trains_teacher = objective.uses_teacher and not objective.teacher
  experiment.check()
  if not trains_teacher:
    # The networks that a complete model has learned or started from may be
    # gone.
    complete = session.finished_run(experiment, model_dir)
    if complete:
      return complete
  if objective.uses_teacher:
    teacher.check_teacher(experiment)
  initialization.check_initialization(
    experiment, trains_teacher=objective.uses_teacher
  )
  _check_network(experiment, model_dir, trains_teacher)
  if not trains_teacher:
    return session.train(experiment, model_dir, evaluate, label)
  # A mistake in the first run is in all of them.
  experiment.teacher_runs[0].check()
  directory = os.path.join(model_dir, 'teacher')
  expected = _expected_teacher(experiment, model_dir, directory)
  with locks.lock_folder(model_dir, 'model_dir', experiment.is_chief):
    student = experiment.with_teacher(expected)
    runs.match_run(model_dir, student.config)
    for path, run in zip(
      deep_ensemble.teacher_paths(experiment.config, directory),
      experiment.teacher_runs,
    ):
      runs.match_run(path, run.config)
    # Claimed first, so that a folder of another experiment stays as it is.
    if experiment.is_chief:
      runs.claim_run(model_dir, student.config)
    if train_members:
      train_members(experiment, directory, evaluate)
    paths = deep_ensemble.train_teacher(experiment, directory, evaluate)
    student = experiment.with_teacher(paths)
    return session.train(student, model_dir, evaluate, label, lock=False)


def _check_network(
  experiment: Experiment, model_dir: str, trains_teacher: bool
) -> None:
  """Builds a network that would be built late, to find mistakes early.

  This happens before there is a run folder.

  Args:
    experiment: The experiment.
    model_dir: The run folder. For a run that has begun, nothing is built.
    trains_teacher: Whether a teacher is trained first.

  Raises:
    InputError: If the network cannot be built, or its initial weights cannot be
      loaded.
  """
  model = experiment.config.task.model
  is_late = trains_teacher or model.architecture.get().has_initial_weights
  if is_late and not runs.is_run(model_dir):
    built = model.build()
    models.check_precision(built)
    model.load_initial_weights(built)


def distill(
  experiment: Experiment,
  model_dir: str,
  evaluate: bool = True,
  train_members: Callable[[Experiment, str, bool], object] | None = None,
) -> runs.RunFolder:
  """Trains a student as `train` does; its objective must have a teacher.

  Raises:
    InputError: If something that the user gave is wrong, or if the objective
      has no teacher.
  """
  objective = experiment.config.task.objective
  if not objective.uses_teacher:
    raise InputError(
      'task.objective.kind',
      objective.kind,
      'knowledge or head',
      'without a teacher, train the model by itself',
    )
  configs.warn_of_unused(experiment.given)
  return train(experiment, model_dir, evaluate, 'student', train_members)


def _expected_teacher(
  experiment: Experiment, model_dir: str, directory: str
) -> tuple[str, ...]:
  """Returns the folders of a teacher that is trained with its student.

  The runs that a search chooses are known only when it ends. Until then the
  student's folder is claimed without a teacher, and afterwards with the chosen
  runs.

  Args:
    experiment: The student's experiment.
    model_dir: The student's run folder.
    directory: The teacher's folder.
  """
  settings = experiment.config.teacher
  if not settings.search.num_runs:
    return tuple(deep_ensemble.member_paths(directory, settings.ensemble_size))
  if not runs.is_run(model_dir):
    return ()
  stored = runs.open_run(model_dir, 'model_dir').config
  chosen = stored.task.objective.teacher
  is_this_search = (stored.teacher.search, stored.teacher.ensemble_size) == (
    settings.search,
    settings.ensemble_size,
  ) and all(files.parent(p) == files.absolute(directory) for p in chosen)
  # If the folder has another teacher, claiming it fails and names that teacher.
  return chosen if is_this_search else ()
