"""Runs a study: whatever is complete is skipped."""

from __future__ import annotations

import dataclasses
import logging
import os

from uncertainty_distill import evaluation, exporting, reports, runs, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.studies.spec import Study
from uncertainty_distill.studies.study_report import write_study_report

import tensorflow as tf

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Where a study's results lie.

  Attributes:
    tables: What to print, in Markdown: the study's own tables beside the
      paper's, or else the one over all systems and seeds.
    directory: Of the report.
    saved_model: The exported system's SavedModel; empty for none.
    lacking: The systems and seeds that are missing, because their training
      diverged, or their teacher's.
  """

  tables: tuple[str, ...]
  directory: str
  saved_model: str
  lacking: tuple[str, ...] = ()


def run_study(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  whole: Study | None = None,
) -> Outcome:
  """Trains, evaluates, reports and exports what a study names.

  Args:
    study: What to run.
    directory: Holds the runs, as LABEL/seed_N and TEACHER/member_N, and the
      report.
    strategy: The devices.
    whole: What the study is a part of, if it is one; the report keeps what
      there is of the rest.

  Raises:
    InputError: If the study or the directory is wrong, before any training.
    DivergedError: If nothing is left, since all training diverged.
    KeyboardInterrupt: The same call goes on from there.
  """
  check_study(study, strategy)
  if workers.is_chief(strategy):
    runs.make_writable(directory, 'output_dir')
  teachers, lacking = _train_teachers(study, directory, strategy)
  # Curves on the test set are for those that a figure shows them of.
  curves = {
    label
    for figure in (whole or study).figures.values()
    if figure.kind == 'learning_curves'
    for label in figure.systems
  }
  lacking += _train_systems(study, directory, strategy, teachers, curves)
  systems = trained_systems(whole or study, directory, teachers)
  if not systems:
    raise DivergedError('nothing is left to evaluate: all training diverged')
  tables = (whole or study).tables.values()
  table = reports.assess(
    systems,
    training.open_experiment(study.config, strategy),
    directory,
    study.title,
    student=(whole or study).export,
    # The study's own tables have the paper's beside them.
    beside_paper=not any(table.paper for table in tables),
  )
  saved_model = ''
  run = run_path(directory, study.export, study.seeds[0])
  if study.export and _is_complete(run):
    saved_model = os.path.join(directory, exporting.SAVED_MODEL)
    if workers.is_chief(strategy):
      exporting.export([run], saved_model)
  sections = []
  if workers.is_chief(strategy):
    of_tables = write_study_report(whole or study, directory, systems)
    sections = [s for name in study.tables for s in of_tables[name]]
  return Outcome(
    tuple(sections or [table]), directory, saved_model, tuple(lacking)
  )


def _train_teachers(
  study: Study, directory: str, strategy: tf.distribute.Strategy
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
  """Returns teachers' run folders, and the labels of those that diverged."""
  teachers, lacking = {}, []
  for label in study.teachers:
    try:
      teachers[label] = study.given_teacher(label) or tuple(
        training.train_teacher(
          training.open_experiment(study.teacher_config(label), strategy),
          os.path.join(directory, label),
          evaluate=False,
        )
      )
    except DivergedError as error:
      _say(error, strategy)
      lacking.append(label)
  return teachers, lacking


def _train_systems(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  teachers: dict[str, tuple[str, ...]],
  curves: set[str],
) -> list[str]:
  """Trains all systems; returns which of them diverged, and by which seeds."""
  lacking = []
  for label in study.systems:
    for seed in study.seeds:
      try:
        _train(
          study, label, seed, teachers, directory, strategy, label in curves
        )
      except DivergedError as error:
        _say(error, strategy)
        lacking.append(f'{label}, seed {seed}')
  return lacking


def _say(error: DivergedError, strategy: tf.distribute.Strategy) -> None:
  if workers.is_chief(strategy):
    _logger.warning(f'{error}; the study goes on without it')


def run_path(directory: str, label: str, seed: int) -> str:
  """Returns the run folder of a system and seed."""
  return os.path.join(directory, label, f'seed_{seed}')


def trained_systems(
  study: Study, directory: str, teachers: dict[str, tuple[str, ...]]
) -> list[evaluation.System]:
  """Returns a study's teachers and systems whose training is complete.

  Args:
    study: The whole of it.
    directory: That holds the runs.
    teachers: The run folders of the teachers that are known already.
  """
  systems = []
  for label in study.teachers:
    paths = teachers.get(label) or study.given_teacher(label)
    if not paths:
      paths = training.trained_teacher(
        study.teacher_config(label), os.path.join(directory, label)
      )
    if paths:
      systems.append(evaluation.System(label, None, tuple(paths)))
  for label in study.systems:
    for seed in study.seeds:
      path = run_path(directory, label, seed)
      if _is_complete(path):
        systems.append(evaluation.System(label, seed, (path,)))
  return systems


def _is_complete(path: str) -> bool:
  return runs.is_run(path) and runs.open_run(path, 'output_dir').is_complete


def check_study(study: Study, strategy: tf.distribute.Strategy) -> None:
  """Finds mistakes in any of the systems before the first is trained."""
  members = {}
  for label in study.teachers:
    config = study.teacher_config(label)
    # Whatever the systems learn by, this is a teacher.
    config.task.objective.kind = 'knowledge'
    config.task.objective.teacher = study.given_teacher(label)
    experiment = training.open_experiment(config, strategy)
    experiment.teacher_runs[0].check()
    members[label] = training.teacher_size(experiment)
  for label in study.systems:
    config = study.system_config(label, study.seeds[0])
    teacher = study.teacher_of[label]
    config.task.objective.teacher = study.given_teacher(teacher)
    if config.task.objective.kind != 'cross_entropy':
      config.teacher.ensemble_size = members[teacher]
    experiment = training.open_experiment(config, strategy)
    experiment.check()
    training.check_initialization(experiment, trains_teacher=True)
    if config.task.objective.kind != 'cross_entropy':
      training.check_teacher(experiment)


def _train(
  study: Study,
  label: str,
  seed: int,
  teachers: dict[str, tuple[str, ...]],
  directory: str,
  strategy: tf.distribute.Strategy,
  evaluate: bool,
) -> None:
  """Trains one system, with its teacher or without."""
  if study.needs_teacher(label) and study.teacher_of[label] not in teachers:
    raise DivergedError(f'{label}, seed {seed}: its teacher diverged')
  config = study.system_config(label, seed)
  config.task.objective.teacher = teachers.get(study.teacher_of[label], ())
  training.train(
    training.open_experiment(config, strategy),
    run_path(directory, label, seed),
    evaluate,
    f'{label}, seed {seed}',
  )
