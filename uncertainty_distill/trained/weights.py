"""A teacher's weights beside a student's, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, models
from uncertainty_distill.errors import InputError
from uncertainty_distill.trained import loading, stored_predictions

import tensorflow as tf
import tf_keras

# W0, alpha and gamma of a student's layer, and the teacher members' kernels.
TiedWeights = tuple[
  tf.Variable, tf.Variable, tf.Variable, tuple[tf.Variable, ...]
]


def check_weights(
  paths: Sequence[str],
  student: configs.ModelConfig,
  argument: str,
  purpose: str,
) -> None:
  """Finds out whether each member of a student has a network beside it.

  Args:
    paths: The networks' folders.
    student: The student's network, its images and classes known.
    argument: The flag or value that the folders come from, for the message of
      an error.
    purpose: What they are for, likewise.

  Raises:
    InputError: Unless each is the complete run of a plain network of the
      student's depth and width, images and classes, and they are as many as the
      student's members.
  """
  for path in paths:
    _check_shows_weights(path, argument, purpose)
  if len(paths) != student.ensemble_size:
    raise InputError(
      argument,
      f'{len(paths)} folders',
      f"one for each of the student's {student.ensemble_size} members, for "
      f'{purpose}',
    )
  for path in paths:
    model = read_network(path, argument, purpose)
    if model.ensemble_size != 1 or _kind(model) != _kind(student):
      members = model.ensemble_size
      raise InputError(
        argument,
        path,
        f'the run of a single {_kind(student)}, for {purpose}',
        f'this one is {_kind(model)}'
        + (f' with {members} members' if members > 1 else ''),
      )


def read_network(path: str, argument: str, purpose: str) -> configs.ModelConfig:
  """Returns what network a folder holds whose weights can be read.

  Args:
    path: Of the folder.
    argument: The flag or value that it comes from, for the message of an error.
    purpose: What it is for, likewise.

  Raises:
    InputError: Unless it is a complete run.
  """
  _check_shows_weights(path, argument, purpose)
  return loading.open_trained(path, argument).config.task.model


def _check_shows_weights(path: str, argument: str, purpose: str) -> None:
  if stored_predictions.is_predictions(path) or loading.is_saved_model(path):
    raise InputError(
      argument,
      path,
      f'a run folder, for {purpose}',
      'SavedModels and stored predictions do not show the weights',
    )


def load_networks(paths: Sequence[str], argument: str) -> list[tf_keras.Model]:
  """Loads networks with their weights as they were trained, in float32.

  Args:
    paths: Run folders that `check_weights` has found to be fit.
    argument: The flag or value that they come from, for the message of an
      error.

  Raises:
    InputError: If one of them is not complete.
  """
  return [loading.open_trained(p, argument).load_model() for p in paths]


def _kind(model: configs.ModelConfig) -> str:
  """Says what a network's weights are of."""
  return (
    f'WRN-{model.depth}-{model.width} of images {list(model.image_shape)} '
    f'and {model.num_classes} classes'
  )


def pair_weights(
  student: tf_keras.Model, teacher: models.DeepEnsemble
) -> list[TiedWeights]:
  """Puts each kernel of a student beside those of the teacher's members.

  The teacher's are its own variables, so that there is no second copy of them;
  where it computes in bfloat16, so are they.

  Args:
    student: A BatchEnsemble of E members.
    teacher: E plain networks of the student's depth and width.

  Returns:
    For each convolution and dense layer, in the network's order, what
    `losses.weight_tie` takes.
  """
  layers = (models.kernel_layers(m) for m in (student, *teacher.models))
  return [
    (ours.kernel, ours.alpha, ours.gamma, tuple(w.kernel for w in its))
    for ours, *its in zip(*layers, strict=True)
  ]
