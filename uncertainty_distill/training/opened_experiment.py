"""An experiment: a checked configuration, and the data and models it names."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Sequence

from uncertainty_distill import configs, data, distribution, trained
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
import tf_keras


@dataclasses.dataclass(eq=False)
class Experiment:
  """A resolved configuration, its devices, and the data and models it names.

  Commands and public functions make an experiment with `open_experiment`, and
  pass it on to training and evaluation. Datasets and trained models are opened
  when they are first used, and only once.

  Attributes:
    config: The resolved configuration.
    strategy: The devices.
    given: The configuration as it was given. The experiments that train the
      teacher's members are derived from it.
    initial_model: A plain network whose weights training starts from, or None.
  """

  config: configs.ResolvedConfig
  strategy: tf.distribute.Strategy
  given: configs.ExperimentConfig
  initial_model: tf_keras.Model | None = None

  @property
  def is_chief(self) -> bool:
    """Whether this process writes files, alone or for all workers."""
    return workers.is_chief(self.strategy)

  @functools.cached_property
  def dataset(self) -> data.Dataset:
    """The training and test examples."""
    return data.open_configured(self.config.task.train_data)

  @functools.cached_property
  def _training_parts(self) -> tuple[data.Subset, data.Subset]:
    return data.open_training(self.dataset, self.config.task.train_data)

  @property
  def training_set(self) -> data.Subset:
    """The examples to train on."""
    return self._training_parts[0]

  @property
  def held_out(self) -> data.Subset:
    """The training examples that are held out."""
    return self._training_parts[1]

  @functools.cached_property
  def unlabeled(self) -> data.ImageSource | None:
    """The images without labels, which have the label -1; None for none."""
    return data.open_unlabeled(self.dataset, self.config.task.train_data)

  @functools.cached_property
  def shown(self) -> data.ImageSource:
    """The images that training shows: the training set, then the unlabeled."""
    if self.unlabeled is None:
      return self.training_set
    return data.Concatenation(self.training_set, self.unlabeled)

  @property
  def views(self) -> data.Views:
    """The views of the shown images, about which a teacher is asked."""
    task = self.config.task
    train_data, seed = task.train_data, task.train_data.augmentation_seed
    return data.Views(
      self.shown,
      task.seed if seed < 0 else seed,
      train_data.crop_padding,
      train_data.horizontal_flip,
      data.Distortion(train_data.random_crop_area, train_data.color_jitter),
      task.objective.mixup,
      draws=task.objective.perturbation != 'none',
    )

  @functools.cached_property
  def evaluation_sets(self) -> data.EvaluationSets:
    """The clean, corrupted and out-of-distribution test images."""
    return data.open_evaluation_sets(self.config, self.dataset)

  @functools.cached_property
  def teacher(self) -> trained.TrainedModel:
    """The teacher that the configuration names."""
    return trained.open_trained(
      self.config.task.objective.teacher, 'task.objective.teacher'
    )

  @functools.cached_property
  def teacher_predictions(self) -> np.ndarray:
    """The stored predictions of a teacher for all training examples, [M, N, K].

    Raises:
      InputError: If they are not of the dataset.
    """
    assert isinstance(self.teacher, trained.StoredPredictions)
    found = self.teacher.predictions(
      'train', self.dataset.train.labels, self.dataset.spec.num_classes
    )
    assert found is not None  # Only predictions of test images may be missing.
    return found

  @functools.cached_property
  def initial_networks(self) -> trained.TrainedModel:
    """The networks that training starts from."""
    return trained.open_trained(
      self.config.task.initialize_from, 'task.initialize_from'
    )

  @functools.cached_property
  def teacher_runs(self) -> tuple[Experiment, ...]:
    """The experiments that train a teacher, one for each member.

    For a search there is one for each run. The first run has the default
    values.
    """
    search, given = self.given.teacher.search, self.given
    if not search.num_runs:
      return tuple(
        open_experiment(configs.member_config(given, index), self.strategy)
        for index in range(given.teacher.ensemble_size)
      )
    default = open_experiment(configs.default_run(given), self.strategy)
    drawn = (
      configs.search_run(default.config, index, len(default.training_set))
      for index in range(1, search.num_runs)
    )
    return default, *(dataclasses.replace(default, config=c) for c in drawn)

  def with_teacher(self, paths: Sequence[str]) -> Experiment:
    """Returns the same experiment with a trained teacher."""
    config = copy.deepcopy(self.config)
    config.task.objective.teacher = tuple(paths)
    if tuple(config.task.initialize_from) == configs.FROM_TEACHER:
      config.task.initialize_from = tuple(paths)
    return dataclasses.replace(self, config=config)

  def check(self) -> None:
    """Checks the batches, and opens all images.

    Raises:
      InputError: If the devices do not divide a batch, if images are missing
        or do not go together, if no temperature can be fitted to the images for
        it, or if the teacher cache is not on a local disk.
    """
    distribution.describe(self.strategy, self.config)
    cache = self.config.task.objective.teacher_cache
    if files.is_remote(cache):
      raise InputError(
        'task.objective.teacher_cache', cache, 'a folder on a local disk'
      )
    _, images = self.shown, self.evaluation_sets.temperature
    if images is not None:
      trained.check_examples(
        images, 'evaluation.temperature_examples', str(len(images))
      )


def open_experiment(
  config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> Experiment:
  """Resolves and checks a configuration.

  Args:
    config: The configuration as it was given. If its objective is
      cross-entropy, a teacher that it names serves only
      `task.initialize_from`, and the settings of the teacher's cache, views and
      temperature have no effect.
    strategy: The devices.

  Raises:
    InputError: If the dataset is unknown or a value is out of its range.
  """
  given = copy.deepcopy(config)
  objective = given.task.objective
  if not objective.uses_teacher:
    _initialize_from_teacher(given)
    objective.teacher, objective.teacher_cache = (), ''
    objective.mixup, objective.teacher_temperature = 0.0, 1.0
    objective.perturbation = 'none'
  resolved = resolve(given)
  _initialize_from_teacher(resolved)
  return Experiment(resolved, strategy, given)


def resolve(config: configs.ExperimentConfig) -> configs.ResolvedConfig:
  """Returns a checked copy whose derived fields are filled in.

  Raises:
    InputError: If the dataset is unknown or a value is out of its range.
  """
  on_cpu = config.runtime.tpu is None and not tf.config.list_physical_devices(
    'GPU'
  )
  # A loop is one call into the device. Long loops keep a fast device from
  # waiting; short loops show the progress of a slow one.
  return configs.resolve(
    config,
    data.open_configured(config.task.train_data),  # pyright: ignore[reportArgumentType]
    steps_per_loop=10 if on_cpu else 100,
  )


def _initialize_from_teacher(config: configs.ExperimentConfig) -> None:
  """Replaces the word `teacher` by the teacher's folders, if they are known."""
  task = config.task
  if tuple(task.initialize_from) == configs.FROM_TEACHER:
    task.initialize_from = task.objective.teacher or configs.FROM_TEACHER
