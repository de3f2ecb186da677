"""The sets of images that a configuration evaluates on."""

from __future__ import annotations

import dataclasses
import os

from uncertainty_distill import configs, metrics
from uncertainty_distill.data import corrupted_sets, corruptions, datasets
from uncertainty_distill.data import out_of_distribution as ood
from uncertainty_distill.data.image_source import ImageSource, Subset
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np


@dataclasses.dataclass(frozen=True)
class EvaluationSets:
  """Images to evaluate on.

  Attributes:
    clean: The clean test examples.
    shifts: The shifts of the test examples, `CLEAN` first.
    corrupted: The corrupted images.
    out_of_distribution: Images of other classes; None for none.
    num_corrupted: The number of test examples to score in corrupted form.
    temperature: Training examples that training leaves out, for fitting
      temperatures and prediction sets; None for none.
  """

  clean: ImageSource
  shifts: list[corruptions.Shift]
  corrupted: corrupted_sets.CorruptedSet
  out_of_distribution: ImageSource | None
  num_corrupted: int
  temperature: ImageSource | None


def parse_shifts(
  evaluation: configs.EvaluationConfig,
) -> list[corruptions.Shift]:
  """Returns the shifts of a configuration, `CLEAN` first.

  Raises:
    InputError: If a corruption or a severity is unknown.
  """
  kinds = corruptions.parse_corruptions(evaluation.corruptions)
  return [
    corruptions.CLEAN,
    *corruptions.shifts(kinds, evaluation.severities),
  ]


def corrupted_files(evaluation: configs.EvaluationConfig) -> list[str]:
  """Returns the names of the files that hold a configuration's corruptions.

  Args:
    evaluation: The configuration, whose `source` is the folder.

  Returns:
    The files that exist; none if the corrupted images are not in a folder.
  """
  folder = evaluation.source
  if not folder or folder == 'tfds':
    return []
  kinds = {shift.corruption for shift in parse_shifts(evaluation)}
  paths = [corrupted_sets.images_path(folder, kind) for kind in kinds if kind]
  return sorted(os.path.basename(p) for p in paths if files.is_file(p))


def prepared_folders(config: configs.ExperimentConfig) -> list[str]:
  """Returns the TFDS folders of the datasets that a configuration evaluates on.

  Args:
    config: The configuration.

  Returns:
    The folders that exist: of the dataset, of the out-of-distribution images,
    and of CIFAR-10-C if it comes from TFDS.
  """
  evaluation = config.evaluation
  names = [config.task.train_data.name, evaluation.out_of_distribution]
  if evaluation.source == 'tfds':
    shifts = parse_shifts(evaluation)[1:]
    names += [f'tfds:{corrupted_sets.tfds_name(shift)}' for shift in shifts]
  data_dir = config.task.train_data.data_dir
  found = [ood.prepared_folder(name, data_dir) for name in names]
  return [folder for folder in found if folder]


def open_evaluation_sets(
  config: configs.ExperimentConfig, dataset: datasets.Dataset
) -> EvaluationSets:
  """Opens the images that a configuration evaluates on.

  Args:
    config: The configuration.
    dataset: The dataset of the configuration.

  Raises:
    InputError: If images are missing, or do not fit the test examples.
  """
  train_data, source = config.task.train_data, config.evaluation.source
  if source and train_data.classes:
    raise InputError(
      'evaluation.source',
      source,
      'empty',
      message='evaluation.source has images of all classes, but '
      'task.train_data.classes leaves some classes out',
    )
  shifts = parse_shifts(config.evaluation)
  clean = dataset.test.take(config.task.validation_data.num_examples)
  return EvaluationSets(
    clean,
    shifts,
    corrupted_sets.open_corrupted_set(
      dataset.test,
      shifts,
      source,
      train_data.data_dir,
      frost=config.evaluation.frost,
      benchmark=config.evaluation.benchmark,
    ),
    _open_out_of_distribution(config, dataset),
    min(config.evaluation.num_examples or len(clean), len(clean)),
    _open_temperature(config, dataset),
  )


def _open_temperature(
  config: configs.ExperimentConfig, dataset: datasets.Dataset
) -> ImageSource | None:
  """Returns the last training examples; an error if training uses them."""
  count, alpha = (
    config.evaluation.temperature_examples,
    config.evaluation.conformal,
  )
  if alpha:
    least = metrics.least_examples(alpha, config.evaluation.conformal_method)
    expected = f'at least {least}, which evaluation.conformal={alpha:g} needs'
    if count < least:
      raise InputError('evaluation.temperature_examples', count, expected)
  if not count:
    return None
  most = dataset.num_train - config.task.train_data.num_shown(dataset.num_train)
  if count > most:
    raise InputError(
      'evaluation.temperature_examples',
      count,
      f'at most {most}, the number of training examples that are not trained '
      'on',
      'to train on fewer examples, set task.train_data.num_examples, and with '
      'unlabeled=rest also unlabeled_examples',
    )
  rows = np.arange(dataset.num_train - count, dataset.num_train)
  return Subset(dataset.train, rows)


def _open_out_of_distribution(
  config: configs.ExperimentConfig, dataset: datasets.Dataset
) -> ImageSource | None:
  """Returns images of other classes.

  They are the test images of another dataset, or of the classes that the
  configuration leaves out: the first `validation_data.num_examples`, or all of
  them for 0.
  """
  train_data = config.task.train_data
  name = config.evaluation.out_of_distribution
  if name:
    source = ood.open_out_of_distribution(
      name,
      train_data.data_dir,
      train_data.image_size,
      train_data.image_fit,
      train_data.skip_broken,
    )
  elif train_data.classes:
    whole = datasets.open_configured(train_data.replace(classes=()))
    source = whole.test.of_other_classes(train_data.classes)
  else:
    return None
  expected, shape = dataset.spec.image_shape, source.spec.image_shape
  if shape != expected or not len(source):
    raise InputError(
      'evaluation.out_of_distribution',
      f'{len(source)} images {list(shape)} of {name or train_data.name}',
      f'at least one image {list(expected)}',
    )
  return source.take(min(config.task.validation_data.num_examples, len(source)))
