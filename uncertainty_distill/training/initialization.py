"""Initial weights from networks that were trained one by one."""

from __future__ import annotations

import operator

from uncertainty_distill import configs, models, reconstruction, trained
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.runtime import progress
from uncertainty_distill.training.opened_experiment import Experiment

import tensorflow as tf
import tf_keras

_NAME = 'task.initialize_from'
# Without it W0 is huge where alpha or gamma is small, thousands of times the
# networks' weights, and training diverges; the fit loses next to nothing.
_RIDGE = 0.1


def check_initialization(experiment: Experiment, trains_teacher: bool) -> None:
  """Checks the networks that a model is to start from, if there are any.

  Args:
    experiment: The experiment.
    trains_teacher: Whether a teacher is trained where none is given.

  Raises:
    InputError: If there is not one plain network of the model's architecture
      for each of its members, trained or, in a teacher, still to be trained, or
      if it has grouped convolutions.
  """
  task = experiment.config.task
  paths = tuple(task.initialize_from)
  if paths:
    with models.without_initial_values():
      reconstruction.paired_kernels([task.model.build_plain()])
  if paths != configs.FROM_TEACHER:
    check_networks(experiment)
  elif trains_teacher:
    check_future_teacher(experiment.config, _NAME)
  else:
    raise InputError(_NAME, list(paths), 'run folders, as there is no teacher')


def check_networks(experiment: Experiment) -> None:
  """Checks that each member has a trained network to start from, if any has.

  Raises:
    InputError: If it has none.
  """
  if experiment.config.task.initialize_from:
    trained.check_networks(
      experiment.initial_networks, experiment.config.task.model, _NAME
    )


def check_future_teacher(
  config: configs.ExperimentConfig, purpose: str
) -> None:
  """Checks that a teacher will have a network like each member of its student.

  Args:
    config: The student's experiment, whose teacher is still to be trained.
    purpose: What the networks are for, for the message of an error.

  Raises:
    InputError: If it will not.
  """
  teacher, student = config.teacher, config.task.model
  for field in 'ensemble_size', 'architecture.type', *student.short_names():
    value, expected = map(operator.attrgetter(field), (teacher, student))
    if value != expected:
      raise InputError(
        f'teacher.{field}',
        value,
        f'{expected} as in the student, for {purpose}',
      )


def find_weights(
  experiment: Experiment,
) -> reconstruction.NetworkReconstruction:
  """Returns the BatchEnsemble nearest to the networks, the same for any seed.

  Raises:
    InputError: If the networks cannot be loaded.
  """
  task = experiment.config.task
  networks = experiment.initial_networks.networks()
  with progress.progress_bar(
    len(models.kernels(networks[0])),
    'initial weights',
    'layer',
    shown=experiment.is_chief,
  ) as bar:
    return reconstruction.reconstruct_network(
      networks,
      task.model.rank,
      align=task.initialize_aligned,
      after_layer=bar.update,
      ridge=_RIDGE,
    )


def set_weights(
  model: tf_keras.Model,
  found: reconstruction.NetworkReconstruction,
  strategy: tf.distribute.Strategy,
) -> None:
  """Gives a model the weights that were found, on all workers the chief's.

  Another machine's linear algebra may round in another way, and replicas that
  begin apart stay apart.

  Args:
    model: A BatchEnsemble.
    found: Its weights.
    strategy: The devices of the model.
  """
  reconstruction.initialize(model, found)
  if workers.count(strategy) > 1:
    values = workers.from_chief(strategy, model.get_weights())
    for variable, value in zip(model.weights, values, strict=True):
      variable.assign(value)
