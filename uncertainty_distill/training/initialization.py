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
# Without this ridge, W0 is huge where alpha or gamma is small, thousands of
# times the networks' weights, and training diverges. The ridge costs the fit
# next to nothing.
_RIDGE = 0.1


def check_initialization(experiment: Experiment, trains_teacher: bool) -> None:
  """Checks the networks that a model starts from, if there are any.

  Args:
    experiment: The experiment.
    trains_teacher: Whether a teacher is trained where none is given.

  Raises:
    InputError: If there is not one plain network of the model's architecture
      for each of its members, or if the model has grouped convolutions with
      several channels in a group. The networks must be trained, except those of
      a teacher that is still to be trained.
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
    raise InputError(
      _NAME, list(paths), 'run folders, because there is no teacher'
    )


def check_networks(experiment: Experiment) -> None:
  """Checks the trained networks to start from, one for each member, if any.

  Raises:
    InputError: If a member has none.
  """
  if experiment.config.task.initialize_from:
    trained.check_networks(
      experiment.initial_networks, experiment.config.task.model, _NAME
    )


def check_future_teacher(
  config: configs.ExperimentConfig, purpose: str
) -> None:
  """Checks that a teacher will have one network like each student member.

  Args:
    config: The student's experiment, whose teacher is still to be trained.
    purpose: What the networks are for, to be named in an error.

  Raises:
    InputError: If the teacher will have other networks.
  """
  teacher, student = config.teacher, config.task.model
  for field in 'ensemble_size', 'architecture.type', *student.short_names():
    value, expected = map(operator.attrgetter(field), (teacher, student))
    if value != expected:
      raise InputError(
        f'teacher.{field}',
        value,
        f'{expected}, the same as in the student, for {purpose}',
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
  """Sets a model's weights to those that were found; all take the chief's.

  The linear algebra of another machine may round differently, and replicas that
  begin with different weights keep different weights.

  Args:
    model: A BatchEnsemble.
    found: The weights that `find_weights` returned.
    strategy: The devices of the model.
  """
  reconstruction.initialize(model, found)
  if workers.count(strategy) > 1:
    values = workers.from_chief(strategy, model.get_weights())
    for variable, value in zip(model.weights, values, strict=True):
      variable.assign(value)
