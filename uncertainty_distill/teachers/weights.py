"""A teacher's weights beside a student's, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras
from uncertainty_distill import configs
from uncertainty_distill import modeling
from uncertainty_distill import runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.teachers import loading
from uncertainty_distill.teachers import predictions

# W0, alpha and gamma of a student's layer, and the teacher members' kernels.
TiedWeights = tuple[
    tf.Variable, tf.Variable, tf.Variable, tuple[tf.Variable, ...]
]


def check_weights(
    paths: Sequence[str], student: configs.ModelConfig
) -> None:
  """Finds out whether a student's weights can be tied to a teacher's.

  Args:
    paths: The teacher's folders.
    student: The student's network.

  Raises:
    InputError: Unless each is the run of a plain network of the student's depth
      and width, and they are as many as the student's members.
  """
  wanted = (
      f'the run of a single WRN-{student.depth}-{student.width}, for '
      'task.objective.weight_tie'
  )
  for path in paths:
    if predictions.is_predictions(path) or loading.is_saved_model(path):
      raise InputError(
          '--teacher', path, wanted,
          'SavedModels and stored predictions do not show the weights',
      )
  if len(paths) != student.ensemble_size:
    raise InputError(
        '--teacher', f'{len(paths)} folders',
        f"one for each of the student's {student.ensemble_size} members, for "
        'task.objective.weight_tie',
    )
  for path in paths:
    model = runs.open_run(path, '--teacher').config.task.model
    found = model.ensemble_size, model.depth, model.width
    if found != (1, student.depth, student.width):
      raise InputError(
          '--teacher', path, wanted, f'this one is WRN-{model.depth}-'
          f'{model.width} with {model.ensemble_size} members'
      )


def pair_weights(
    student: tf_keras.Model, teacher: modeling.DeepEnsemble
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
  layers = (modeling.kernel_layers(m) for m in (student, *teacher.models))
  return [
      (ours.kernel, ours.alpha, ours.gamma, tuple(w.kernel for w in its))
      for ours, *its in zip(*layers, strict=True)
  ]
