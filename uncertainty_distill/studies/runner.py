"""Runs a study: whatever is complete is skipped."""

from __future__ import annotations

import dataclasses
import os

import tensorflow as tf
from uncertainty_distill import configs
from uncertainty_distill import runs
from uncertainty_distill import train_lib
from uncertainty_distill import workers
from uncertainty_distill import workflow
from uncertainty_distill.studies.spec import Study
from uncertainty_distill.studies.spec import TEACHER


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Where a study's results lie.

  Attributes:
    table: The table over systems and seeds, in Markdown.
    directory: Of the report.
    saved_model: The exported system's SavedModel; empty for none.
  """

  table: str
  directory: str
  saved_model: str


def run_study(
    study: Study, directory: str, strategy: tf.distribute.Strategy
) -> Outcome:
  """Trains, evaluates, reports and exports what a study names.

  Args:
    study: What to run.
    directory: Holds the runs, as LABEL/seed_N and deep_ensemble/member_N, and
      the report.
    strategy: The devices.

  Raises:
    InputError: If the study or the directory is wrong, before any training.
    KeyboardInterrupt: The same call goes on from there.
  """
  _check(study, strategy)
  if workers.is_chief(strategy):
    runs.make_writable(directory, '--output_dir')
  teacher = study.config.task.objective.teacher or train_lib.train_teacher(
      study.config, os.path.join(directory, TEACHER), strategy, evaluate=False
  )
  systems = [workflow.System(TEACHER, None, tuple(teacher))]
  for label in study.systems:
    for seed in study.seeds:
      path = os.path.join(directory, label, f'seed_{seed}')
      config = study.system_config(label, seed)
      config.task.objective.teacher = tuple(teacher)
      _train(config, path, strategy, f'{label}, seed {seed}')
      systems.append(workflow.System(label, seed, (path,)))
  table = workflow.assess(
      systems,
      train_lib.resolve(study.config),
      strategy,
      directory,
      study.title,
  )
  saved_model = ''
  if study.export:
    run = os.path.join(directory, study.export, f'seed_{study.seeds[0]}')
    saved_model = os.path.join(directory, workflow.SAVED_MODEL)
    if workers.is_chief(strategy):
      workflow.export([run], saved_model)
  return Outcome(table, directory, saved_model)


def _check(study: Study, strategy: tf.distribute.Strategy) -> None:
  """Finds mistakes in any of the systems before the first is trained."""
  workflow.check(configs.member_config(study.config), strategy)
  members = workflow.teacher_size(study.config)
  for label in study.systems:
    config = study.system_config(label, study.seeds[0])
    workflow.check(config, strategy)
    if config.task.objective.kind != 'cross_entropy':
      workflow.check_weight_tie(config)
      # A given teacher is checked like one that is still to be trained.
      config.task.objective.teacher = ()
      config.teacher.ensemble_size = members
      workflow.check_teacher(config)


def _train(
    config: configs.ExperimentConfig,
    path: str,
    strategy: tf.distribute.Strategy,
    label: str,
) -> None:
  """Trains one system, with the teacher or without."""
  train = (
      workflow.train
      if config.task.objective.kind == 'cross_entropy'
      else workflow.distill
  )
  # The report's evaluation follows; curves on the test set are not needed.
  train(config, path, strategy, evaluate=False, label=label)
