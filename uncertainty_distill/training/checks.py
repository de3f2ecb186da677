"""Mistakes found before anything is trained or written."""

from __future__ import annotations

from uncertainty_distill import configs, data, distribution, trained
from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.errors import InputError
from uncertainty_distill.training import session, stored_teacher

import tensorflow as tf


def parse_shifts(
  evaluation_config: configs.EvaluationConfig,
) -> list[corruptions.Shift]:
  """Returns the test sets of a configuration, the clean one first.

  Raises:
    InputError: If a corruption or a severity is unknown.
  """
  kinds = corruptions.parse_corruptions(evaluation_config.corruptions)
  return [
    corruptions.CLEAN,
    *corruptions.shifts(kinds, evaluation_config.severities),
  ]


def check(
  config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> None:
  """Finds a user's mistakes before anything is trained or written.

  Args:
    config: Not resolved.
    strategy: The devices.

  Raises:
    InputError: If a value, a batch or the dataset is wrong.
  """
  resolved = session.resolve(config)
  if len(parse_shifts(resolved.evaluation)) > 1:
    corruptions.check_image_shape(resolved.task.model.image_shape)
  distribution.describe(strategy, resolved)
  dataset = data.open_configured(resolved.task.train_data)
  data.open_training(dataset, resolved.task.train_data)
  dataset.test.take(resolved.task.validation_data.num_examples)
  open_source(resolved, dataset)
  open_out_of_distribution(resolved, dataset)


def open_source(
  config: configs.ExperimentConfig, dataset: data.Dataset
) -> corrupted_sets.CorruptedSet:
  """Opens the corrupted images to evaluate on.

  Args:
    config: Its `evaluation` says which.
    dataset: The dataset of the configuration.

  Raises:
    InputError: If they are not there, or not of its test examples.
  """
  source, train_data = config.evaluation.source, config.task.train_data
  if source and train_data.classes:
    raise InputError(
      'evaluation.source',
      source,
      'nothing, where task.train_data.classes leaves out some of the images',
    )
  return corrupted_sets.open_corrupted_set(
    dataset.test, parse_shifts(config.evaluation), source, train_data.data_dir
  )


def open_out_of_distribution(
  config: configs.ExperimentConfig, dataset: data.Dataset
) -> data.ImageSource | None:
  """Returns the out-of-distribution images to evaluate on, if there are any.

  They are the test images of another dataset, or those of the classes that the
  configuration leaves out, and at most as many as its test examples.

  Args:
    config: Says which.
    dataset: The dataset of the configuration.

  Raises:
    InputError: If they are not there, or not of the shape that the dataset has.
  """
  train_data = config.task.train_data
  name = config.evaluation.out_of_distribution
  if name:
    source = data.open_out_of_distribution(name, train_data.data_dir)
  elif train_data.classes:
    whole = data.open_dataset(train_data.name, train_data.data_dir).test
    source = whole.of_other_classes(train_data.classes)
  else:
    return None
  wanted, shape = dataset.spec.image_shape, source.spec.image_shape
  if shape != wanted or not len(source):
    raise InputError(
      'evaluation.out_of_distribution',
      f'{len(source)} images {list(shape)} of {name or train_data.name}',
      f'at least one image of {list(wanted)}',
    )
  return source.take(min(config.task.validation_data.num_examples, len(source)))


def teacher_size(config: configs.ExperimentConfig) -> int:
  """Returns the members of the teacher, given or still to be trained.

  Raises:
    InputError: If a given one cannot be loaded, or has other images or classes
      than the dataset.
  """
  given, argument = config.task.objective.teacher, 'task.objective.teacher'
  if not given:
    return config.teacher.ensemble_size
  if trained.are_predictions(given, argument):
    return stored_teacher.open_predictions(config.task).ensemble_size
  dataset = data.open_configured(config.task.train_data)
  return trained.load_ensemble(
    given,
    argument,
    dataset.spec.image_shape,
    dataset.spec.num_classes,
    lambda: dataset.train.numpy(slice(32)),
  ).ensemble_size


def check_weight_tie(config: configs.ExperimentConfig) -> None:
  """Finds a teacher whose weights the student's cannot be tied to.

  Raises:
    InputError: If they are tied, and the teacher, given or still to be trained,
      has not one plain network of the student's depth and width a member.
  """
  objective = config.task.objective
  if objective.weight_tie:
    _check_weights(
      config, objective.teacher, 'teacher', 'task.objective.weight_tie'
    )


def check_initialization(
  config: configs.ExperimentConfig, trains_teacher: bool
) -> None:
  """Finds networks from which a model cannot start.

  Args:
    config: Not resolved.
    trains_teacher: Whether a teacher is trained where none is given.

  Raises:
    InputError: If there is not one plain network of the model's depth and width
      for each of its members, trained or, of a teacher, still to be trained.
  """
  task, paths = config.task, config.task.initialize_from
  if paths == configs.FROM_TEACHER:
    paths = task.objective.teacher
    if not paths and not trains_teacher:
      raise InputError(
        'task.initialize_from',
        list(task.initialize_from),
        'run folders, where there is no teacher',
      )
  if task.initialize_from:
    _check_weights(
      config, paths, 'task.initialize_from', 'task.initialize_from'
    )


def _check_weights(config, paths, argument, purpose):
  """Checks networks that are given, or the teacher that is to be trained."""
  if paths:
    model = session.resolve(config).task.model
    trained.check_networks(
      trained.open_trained(paths, argument), model, purpose
    )
    return
  for name in 'ensemble_size', 'depth', 'width':
    got = getattr(config.teacher, name)
    wanted = getattr(config.task.model, name)
    if got != wanted:
      raise InputError(
        f'teacher.{name}', got, f"the student's {wanted}, for {purpose}"
      )


def check_teacher(config: configs.ExperimentConfig) -> None:
  """Finds mistakes about a student's teacher before anything is trained.

  Raises:
    InputError: If there is no distillation to do, or if head distillation
      cannot match the teacher that is going to be trained.
  """
  objective = config.task.objective
  if objective.kind == 'cross_entropy':
    raise InputError(
      'task.objective.kind',
      objective.kind,
      'knowledge or head',
      'train.py trains what has no teacher',
    )
  size, members = config.task.model.ensemble_size, config.teacher.ensemble_size
  if objective.kind == 'head' and not objective.teacher and size != members:
    raise InputError(
      'task.objective.kind',
      'head',
      f'as many teacher members ({members}) as student members ({size})',
      'set task.model.ensemble_size, or take knowledge',
    )
