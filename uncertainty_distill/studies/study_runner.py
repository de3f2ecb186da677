"""Runs a study and skips what is already complete."""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import logging
import os
from collections.abc import Callable

from uncertainty_distill import (
  configs,
  distribution,
  evaluation,
  exporting,
  reports,
  runs,
  trained,
  training,
)
from uncertainty_distill.distribution import scheduling, workers
from uncertainty_distill.errors import DivergedError, InputError
from uncertainty_distill.studies.spec import Study
from uncertainty_distill.studies.spread_evaluation import evaluate_on_pool
from uncertainty_distill.studies.study_report import write_study_report

import tensorflow as tf

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Where to find a study's results.

  Attributes:
    tables: The Markdown tables to print: the study's own tables beside the
      paper's or, if it has none, one table of all systems and seeds.
    directory: The folder of the report.
    saved_model: The SavedModel of the exported system; empty for none.
    missing: The teachers, and the systems and seeds, that are missing because
      their training or that of their teacher diverged.
  """

  tables: tuple[str, ...]
  directory: str
  saved_model: str
  missing: tuple[str, ...] = ()


def run_study(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  pool: scheduling.Pool | None = None,
  show: Callable[[scheduling.Schedule], object] = lambda schedule: None,
) -> Outcome:
  """Trains, evaluates, reports and exports what a study names.

  Args:
    study: The study, or a part of it. The report of a part keeps the existing
      results of the rest.
    directory: The folder for the runs, as LABEL/seed_N and TEACHER/member_N,
      and for the report.
    strategy: The devices.
    pool: The pool that trains runs and evaluates systems. By default this
      process does so, one run after the other, on the devices of `strategy`. A
      run is the same in any pool, to the bit, if the machine is of the same
      kind and the number of threads is the same.
    show: See `scheduling.run`.

  Raises:
    InputError: If the study or the directory is wrong, before any training.
    DivergedError: If all training diverged, so that nothing is left.
    KeyboardInterrupt: If the study is stopped. The same call resumes it.
  """
  check_study(study, strategy)
  is_chief = workers.is_chief(strategy)
  if is_chief:
    runs.make_writable(directory, 'output_dir')
  reports.check_folder(directory)
  if study.export:
    exporting.check_replaceable(os.path.join(directory, exporting.SAVED_MODEL))
  pool = pool or distribution.SerialPool(strategy)
  teachers: dict[str, tuple[str, ...]] = {}
  tasks = study_tasks(study, directory, strategy, teachers)
  errors = scheduling.run(tasks, pool, show)
  missing = _missing(study, tasks, errors)
  whole = study.whole
  systems = trained_systems(whole, directory, teachers, strategy)
  if not systems:
    scheduling.raise_failure(errors)
    raise DivergedError('nothing is left to evaluate: all training diverged')
  table = reports.assess(
    systems,
    training.open_experiment(_evaluated_by(study, systems), strategy),
    directory,
    study.title,
    student=whole.export,
    # The study's own tables show the paper's values beside them.
    beside_paper=not any(table.paper for table in whole.tables.values()),
    evaluate=functools.partial(evaluate_on_pool, pool=pool, show=show)
    if pool.parallel_evaluations
    else reports.evaluate_at_once,
    devices=pool.description if pool.parallel_evaluations else '',
  )
  # A part of a study may export nothing.
  exported = (study.export, whole.seeds[0])
  run = next((s.paths for s in systems if (s.label, s.seed) == exported), ())
  saved_model, sections = _export(run, directory, is_chief), []
  if is_chief:
    of_tables = write_study_report(whole, directory, systems)
    sections = [s for name in study.tables for s in of_tables[name]]
  # Last: one run that cannot be trained must not hide the others' results.
  scheduling.raise_failure(errors)
  return Outcome(tuple(sections or [table]), directory, saved_model, missing)


def _evaluated_by(
  study: Study, systems: list[evaluation.System]
) -> configs.ExperimentConfig:
  """Returns a study's configuration, without a baseline that has no run."""
  config = copy.deepcopy(study.config)
  baseline = config.evaluation.mce_baseline
  labels = {system.label for system in systems}
  if (
    baseline
    and baseline not in labels
    and not configs.is_baseline_path(baseline)
  ):
    _logger.warning(
      f'corruption errors are left out, because {baseline}, the baseline of '
      'evaluation.mce_baseline, has no complete run'
    )
    config.evaluation.mce_baseline = ''
  return config


def _missing(study, tasks, errors) -> tuple[str, ...]:
  """Returns the missing teachers and runs, without the teachers' members."""
  members = {name for task in tasks for name in task.needs} - {*study.teachers}
  return tuple(name for name in errors if name not in members)


def _export(run: tuple[str, ...], directory: str, is_chief: bool) -> str:
  """Exports a run on the chief; returns the path, or '' if there is no run."""
  if not run:
    return ''
  saved_model = os.path.join(directory, exporting.SAVED_MODEL)
  if is_chief:
    exporting.export(run, saved_model)
  return saved_model


def study_tasks(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  teachers: dict[str, tuple[str, ...]],
) -> list[scheduling.Task]:
  """Returns the tasks of a study: teachers' runs, teachers, systems.

  Args:
    study: The study.
    directory: The folder of the runs.
    strategy: The devices of this process.
    teachers: Filled with the run folders of each teacher as they become known.
  """
  return [
    *_teacher_tasks(study, directory, strategy, teachers),
    *_system_tasks(study, directory, strategy, teachers),
  ]


def _teacher_tasks(study, directory, strategy, teachers):
  """Returns the tasks that train the teachers; see `study_tasks`."""
  tasks = []
  for label in study.teachers:
    if given := study.given_teacher(label):
      teachers[label] = given
      continue
    folder = os.path.join(directory, label)
    experiment = training.open_experiment(study.teacher_config(label), strategy)
    members = training.teacher_tasks(experiment, folder, False, label)

    def assemble(label=label, experiment=experiment, folder=folder):
      paths = training.train_teacher(experiment, folder, evaluate=False)
      teachers[label] = tuple(paths)

    needed = [member.name for member in members]
    tasks += [*members, scheduling.Task(label, assemble, needed, cost=0)]
  return tasks


def _system_tasks(study, directory, strategy, teachers):
  """Returns the tasks that train the systems; see `study_tasks`."""
  tasks = []
  # Only systems that appear in a figure of learning curves are evaluated on the
  # test set while they train.
  curves = {
    label
    for figure in study.whole.figures.values()
    if figure.kind == 'learning_curves'
    for label in figure.systems
  }
  for label in study.systems:
    teacher = study.teacher_of[label] if study.needs_teacher(label) else ''
    config = study.system_config(label, study.seeds[0])
    cost = training.training_cost(training.resolve(config))

    def prepare(label=label, teacher=teacher, *, seed):
      return _open_system(
        study, label, seed, teachers.get(teacher, ()), strategy
      )

    tasks += [
      training.training_task(
        f'{label}, seed {seed}',
        functools.partial(prepare, seed=seed),
        run_path(directory, label, seed),
        label in curves,
        [teacher] if teacher and teacher not in teachers else [],
        cost,
      )
      for seed in study.seeds
    ]
  return tasks


def _open_system(study, label, seed, teacher, strategy):
  """Returns the experiment of a system and seed, with its teacher."""
  config = study.system_config(label, seed)
  config.task.objective.teacher = teacher if study.needs_teacher(label) else ()
  return training.open_experiment(config, strategy)


def run_path(directory: str, label: str, seed: int) -> str:
  """Returns the run folder of a system and seed."""
  return os.path.join(directory, label, f'seed_{seed}')


def trained_systems(
  study: Study,
  directory: str,
  teachers: dict[str, tuple[str, ...]],
  strategy: tf.distribute.Strategy,
) -> list[evaluation.System]:
  """Returns a study's teachers and systems whose training is complete.

  Args:
    study: The study. A run is left out, with a warning, if the study would now
      train it differently. So are the students of such a teacher.
    directory: The folder of the runs.
    teachers: The run folders of the teachers that are already known, by label.
    strategy: The devices of this process.
  """
  systems, changed = [], set()
  for label in study.teachers:
    paths = teachers.get(label) or study.given_teacher(label)
    if not paths:
      folder = os.path.join(directory, label)
      paths = training.complete_members(study.teacher_config(label), folder)
      if _teacher_has_changed(study, label, folder, strategy):
        changed.add(label)
        continue
    if paths:
      systems.append(evaluation.System(label, None, tuple(paths)))
  for label, seed in itertools.product(study.systems, study.seeds):
    path = run_path(directory, label, seed)
    teacher = study.teacher_of[label]
    if teacher in changed and study.needs_teacher(label):
      continue
    taught = next((s.paths for s in systems if s.label == teacher), ())
    if (
      runs.is_run(path)
      and not _has_changed(
        study,
        label,
        seed,
        path,
        taught or _expected_teacher(study, teacher, directory),
        strategy,
      )
      and runs.open_run(path, 'output_dir').is_complete
    ):
      systems.append(evaluation.System(label, seed, (path,)))
  return systems + [
    dataclasses.replace(
      system,
      label=label,
      scaled=label in study.temperature_scaled,
      merged=label in study.merged,
    )
    for label, base in study.derived.items()
    for system in systems
    if system.label == base
  ]


def _has_changed(study, label, seed, path, teacher, strategy) -> bool:
  """Returns whether a study would now train a run differently; warns if so."""
  # What a search will choose is not known before its end.
  teacher = (
    teacher or runs.open_run(path, 'output_dir').config.task.objective.teacher
  )
  experiment = _open_system(study, label, seed, teacher, strategy)
  return _differs(path, experiment.config)


def _expected_teacher(study, label, directory) -> tuple[str, ...]:
  """Returns a teacher's run folders before it is complete, if known."""
  config = study.teacher_config(label)
  if config.teacher.search.num_runs:
    return ()
  return tuple(training.teacher_paths(config, os.path.join(directory, label)))


def _teacher_has_changed(study, label, folder, strategy) -> bool:
  """Returns whether a study would now train a teacher differently; warns."""
  config = study.teacher_config(label)
  paths = training.teacher_paths(config, folder)
  if not any(map(runs.is_run, paths)):
    return False
  experiment = training.open_experiment(config, strategy)
  return any(
    runs.is_run(path) and _differs(path, member.config)
    for path, member in zip(paths, experiment.teacher_runs, strict=True)
  )


def _differs(path: str, config: configs.ExperimentConfig) -> bool:
  """Returns whether a run is not what a configuration trains; warns if so."""
  found = runs.difference(path, config)
  if found:
    name, old, new = found
    _logger.warning(
      f'{path} is left out: it has {name}={old!r}, but the study has {new!r}'
    )
  return bool(found)


def check_study(study: Study, strategy: tf.distribute.Strategy) -> None:
  """Finds mistakes in any teacher or system before the first is trained."""
  _check_baseline(study.whole, strategy)
  members = {}
  # The report of a part draws all figures.
  drawn = {
    label: None
    for figure in study.whole.figures.values()
    if figure.kind == 'reconstruction'
    for label in figure.systems
  }
  for label in {**study.teachers, **drawn}:
    config = study.whole.teacher_config(label)
    # A teacher is checked as one, whatever the objective of the systems is.
    config.task.objective.kind = 'knowledge'
    config.task.objective.teacher = study.given_teacher(label)
    experiment = training.open_experiment(config, strategy)
    experiment.teacher_runs[0].check()
    members[label] = training.teacher_size(experiment)
    _check_reconstructions(study.whole, label, members[label], experiment)
  for label in study.systems:
    config = study.system_config(label, study.seeds[0])
    teacher = study.teacher_of[label]
    config.task.objective.teacher = study.given_teacher(teacher)
    if config.task.objective.uses_teacher:
      config.teacher.ensemble_size = members[teacher]
    experiment = training.open_experiment(config, strategy)
    experiment.check()
    training.check_initialization(experiment, trains_teacher=True)
    if config.task.objective.uses_teacher:
      training.check_teacher(experiment)


def _check_baseline(study: Study, strategy: tf.distribute.Strategy) -> None:
  """Finds mistakes in the baseline of corruption errors."""
  systems = [
    evaluation.System(label, None, study.given_teacher(label))
    for label in (*study.teachers, *study.systems, *study.derived)
  ]
  experiment = training.open_experiment(study.config, strategy)
  evaluation.with_baseline(systems, experiment)


def _check_reconstructions(
  study: Study, teacher: str, members: int, experiment: training.Experiment
) -> None:
  """Raises an InputError if a figure of a teacher cannot be drawn."""
  given = experiment.config.task.objective.teacher
  for figure in study.figures.values():
    if figure.kind != 'reconstruction' or teacher not in figure.systems:
      continue
    where = f'figures.{figure.name}'
    if members < 2:
      raise InputError(
        f'{where}.systems', teacher, 'a teacher of two or more networks'
      )
    if given:
      trained.check_networks(experiment.teacher, None, where)
      model = copy.deepcopy(experiment.teacher.config.task.model)  # pyright: ignore[reportOptionalMemberAccess]
    else:
      model = configs.member_config(experiment.config).task.model
    model.rank = max(figure.ranks)
    model.check_rank(f'{where}.ranks')
