"""Runs a study: whatever is complete is skipped."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os

from uncertainty_distill import evaluation, exporting, reports, runs, training
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.studies.jobs import Job, train
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
    directory: The folder of the report.
    saved_model: The SavedModel of the exported system; empty for none.
    missing: The systems and seeds that are missing, because their training
      diverged, or their teacher's.
  """

  tables: tuple[str, ...]
  directory: str
  saved_model: str
  missing: tuple[str, ...] = ()


def run_study(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  num_processes: int = 1,
) -> Outcome:
  """Trains, evaluates, reports and exports what a study names.

  Args:
    study: The study, or a part of it: the report then keeps the results that
      there are of the rest.
    directory: The folder for the runs, as LABEL/seed_N and TEACHER/member_N,
      and for the report.
    strategy: The devices.
    num_processes: How many runs are trained at a time; more than 1 in processes
      of their own.

  Raises:
    InputError: If the study or the directory is wrong, before any training.
    DivergedError: If nothing is left, since all training diverged.
    KeyboardInterrupt: If stopped; the same call resumes the study.
  """
  check_study(study, strategy)
  is_chief = workers.is_chief(strategy)
  if is_chief:
    runs.make_writable(directory, 'output_dir')
  teachers, missing = _train(study, directory, strategy, num_processes)
  whole = study.whole
  systems = trained_systems(whole, directory, teachers)
  if not systems:
    raise DivergedError('nothing is left to evaluate: all training diverged')
  table = reports.assess(
    systems,
    training.open_experiment(study.config, strategy),
    directory,
    study.title,
    student=whole.export,
    # The study's own tables have the paper's beside them.
    beside_paper=not any(table.paper for table in whole.tables.values()),
  )
  saved_model, sections = '', []
  run = run_path(directory, study.export, whole.seeds[0])
  if study.export and _is_complete(run):
    saved_model = os.path.join(directory, exporting.SAVED_MODEL)
    if is_chief:
      exporting.export([run], saved_model)
  if is_chief:
    of_tables = write_study_report(whole, directory, systems)
    sections = [s for name in study.tables for s in of_tables[name]]
  return Outcome(
    tuple(sections or [table]), directory, saved_model, tuple(missing)
  )


def _train(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  num_processes: int,
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
  """Trains the teachers and the systems.

  Returns:
    The teachers' run folders, and the labels of what diverged.
  """
  # Curves on the test set are for those that a figure shows them of.
  curves = {
    label
    for figure in study.whole.figures.values()
    if figure.kind == 'learning_curves'
    for label in figure.systems
  }

  def job(label, seed, teacher):
    config = study.system_config(label, seed)
    config.task.objective.teacher = teacher
    path = run_path(directory, label, seed)
    return Job(f'{label}, seed {seed}', config, path, label in curves)

  systems = list(itertools.product(study.systems, study.seeds))
  early, missing = {}, []
  if num_processes > 1:
    early = {s: job(*s, ()) for s in systems if not study.needs_teacher(s[0])}
    members = _member_jobs(study, directory, strategy)
    diverged = train([*members, *early.values()], strategy, num_processes)
    # What diverged among the members is for `_train_teachers` to say.
    missing = [j.label for j in early.values() if j.label in diverged]
  teachers, diverged = _train_teachers(study, directory, strategy)
  missing += diverged
  late = []
  for label, seed in systems:
    teacher = teachers.get(study.teacher_of[label], ())
    if study.needs_teacher(label) and not teacher:
      missing.append(f'{label}, seed {seed}')
      _warn(f'{missing[-1]}: its teacher diverged', strategy)
    elif (label, seed) not in early:
      late.append(job(label, seed, teacher))
  return teachers, missing + train(late, strategy, num_processes)


def _member_jobs(
  study: Study, directory: str, strategy: tf.distribute.Strategy
) -> list[Job]:
  """Returns the training of the runs that teachers are chosen from."""
  jobs = []
  for label in study.teachers:
    if study.given_teacher(label):
      continue
    config = study.teacher_config(label)
    experiment = training.open_experiment(config, strategy)
    paths = training.teacher_paths(
      experiment.config, os.path.join(directory, label)
    )
    for path, member in zip(paths, experiment.teacher_runs, strict=True):
      name = f'{label}, {os.path.basename(path)}'
      jobs.append(Job(name, member.config, path, evaluate=False))
  return jobs


def _train_teachers(
  study: Study, directory: str, strategy: tf.distribute.Strategy
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
  """Returns teachers' run folders, and the labels of those that diverged."""
  teachers, missing = {}, []
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
      _warn(error, strategy)
      missing.append(label)
  return teachers, missing


def _warn(error: DivergedError | str, strategy: tf.distribute.Strategy) -> None:
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
    study: The study.
    directory: The folder of the runs.
    teachers: The run folders of the teachers that are known already.
  """
  systems = []
  for label in study.teachers:
    paths = (
      teachers.get(label)
      or study.given_teacher(label)
      or training.trained_teacher(
        study.teacher_config(label), os.path.join(directory, label)
      )
    )
    if paths:
      systems.append(evaluation.System(label, None, tuple(paths)))
  for label, seed in itertools.product(study.systems, study.seeds):
    path = run_path(directory, label, seed)
    if _is_complete(path):
      systems.append(evaluation.System(label, seed, (path,)))
  return systems + [
    dataclasses.replace(system, label=label, scaled=True)
    for label, base in study.temperature_scaled.items()
    for system in systems
    if system.label == base
  ]


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
