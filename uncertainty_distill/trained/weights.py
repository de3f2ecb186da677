"""Pairs the weights of trained networks with those of a BatchEnsemble."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, losses, models
from uncertainty_distill.errors import InputError
from uncertainty_distill.trained.trained_model import Run, TrainedModel

import tf_keras


def check_networks(
  model: TrainedModel, student: configs.ModelConfig | None, purpose: str
) -> None:
  """Checks that a model consists of plain networks of one architecture.

  Args:
    model: The networks.
    student: The BatchEnsemble, whose images and classes must be known. Each of
      its members needs one network of its architecture. None if the networks
      only have to be like the first one.
    purpose: What the networks are for, to be named in an error.

  Raises:
    InputError: If a part of the model is not a run of such a network, or if
      there is not one network for each member of the student.
  """
  for part in model.parts:
    if not isinstance(part, Run):
      raise InputError(
        model.name,
        part.paths[0],
        f'a run folder, for {purpose}',
        'the weights of SavedModels and stored predictions cannot be read',
      )
  if student and len(model.parts) != student.ensemble_size:
    raise InputError(
      model.name,
      len(model.parts),
      f'{student.ensemble_size} folders, one for each member, for {purpose}',
    )
  wanted = student or model.config.task.model  # pyright: ignore[reportOptionalMemberAccess]
  for part in model.parts:
    network = part.config.task.model  # pyright: ignore[reportOptionalMemberAccess]
    if network.ensemble_size != 1 or network.identity != wanted.identity:
      members = network.ensemble_size
      raise InputError(
        model.name,
        part.paths[0],
        f'the run of a single {wanted}, for {purpose}',
        f'this one is {network}'
        + (f' with {members} members' if members > 1 else ''),
      )


def pair_weights(
  student: tf_keras.Model, networks: Sequence[tf_keras.Model]
) -> list[losses.TiedLayer]:
  """Pairs each kernel of a student with the kernels of its teacher's members.

  The teacher's kernels are the networks' own variables, so that there is no
  second copy of them.

  Args:
    student: A BatchEnsemble of E members.
    networks: E plain networks of the student's architecture.

  Returns:
    The layers for `losses.weight_tie`: an entry for each convolution and dense
    layer, in the network's order.
  """
  kernels = (models.kernels(model) for model in (student, *networks))
  return [
    losses.TiedLayer(
      own.variable, own.alpha, own.gamma, [k.variable for k in members]
    )
    for own, *members in zip(*kernels, strict=True)
  ]
