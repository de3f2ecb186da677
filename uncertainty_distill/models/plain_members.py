"""Turns members of a BatchEnsemble into plain networks."""

from __future__ import annotations

from uncertainty_distill import layers, ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.models import cloning, variables
from uncertainty_distill.models.ensembles import BatchEnsemble

import tf_keras


def member(model: tf_keras.Model, index: int) -> tf_keras.Model:
  """Returns one member of a BatchEnsemble as a plain network.

  Alpha and gamma are multiplied into its kernels.

  Args:
    model: The model that `batch_ensemble` returned, trained or not. It is not
      changed.
    index: The index of the member, from 0 to E - 1.

  Returns:
    A functional model of images [B, ...] -> logits [B, K] with its own weights.
    Its `get_weights()` fit the network that the BatchEnsemble was made from.

  Raises:
    InputError: If the model is not a BatchEnsemble, or has no such member.
  """
  _check_batch_ensemble(model)
  ranges.Range(
    lambda e: 0 <= e < model.ensemble_size,
    f'from 0 to {model.ensemble_size - 1}',
  ).check('index', index)
  return _plain_network(model, index)


def merge_members(model: tf_keras.Model) -> tf_keras.Model:
  """Averages the members of a BatchEnsemble into one plain network.

  The kernels are W o (mean_e alpha_e)(mean_e gamma_e)^T, and the biases are the
  means of the members' biases (LatentBE; Nam et al., ICML 2022). The plain
  network is good only if the members have stayed close to each other: if their
  alpha and gamma began at 1 and training pulled them back toward 1.

  Args:
    model: The model that `batch_ensemble` returned, trained or not. It is not
      changed.

  Returns:
    A functional model like the one that `member` returns.

  Raises:
    InputError: If the model is not a BatchEnsemble, or if its members have
      their own norms, whose statistics have no mean that fits the mean weights.
  """
  _check_batch_ensemble(model)
  for layer in variables.flat_layers(model):
    if isinstance(layer, layers.PerMember):
      raise InputError(
        'model',
        layer.name,
        'a BatchEnsemble whose members share their norms',
        message=f'the members of {model.name} have norms of their own, such as '
        f'{layer.name}, and cannot be merged',
      )
  return _plain_network(model, None)


def _check_batch_ensemble(model):
  if not isinstance(model, BatchEnsemble):
    raise InputError(
      'model', type(model).__name__, 'a model that `batch_ensemble` returned'
    )


def _plain_network(model, index):
  """Returns a member as a plain network; for None, the mean of all members."""
  pairs = []

  def plain(layer):
    copy = _plain(layer, index)
    pairs.append((copy, layer))
    return copy

  with cloning.without_initial_values():
    ends = cloning.clone(model, plain)
    # Only the part between the layers that tile and split the members.
    network = tf_keras.Model(
      ends.get_layer('tile_members').output,  # pyright: ignore[reportAttributeAccessIssue]
      ends.get_layer('split_members').input,  # pyright: ignore[reportAttributeAccessIssue]
      name=model.name,
    )
    # Cloned once more, so that each layer has only one output.
    twins = {}

    def twin(layer):
      twins[layer] = cloning.copy_layer(layer)
      return twins[layer]

    network = cloning.clone(network, twin)
  for copy, layer in pairs:
    if copy in twins and layer.weights:
      twins[copy].set_weights(_member_weights(layer, index))
  return network


def _plain(layer, index):
  """Returns a member's copy of a layer, without weights."""
  if isinstance(layer, cloning.PERTURBED):
    return layer.plain.from_config(layer.plain_config())
  if isinstance(layer, (layers.TileMembers, layers.SplitMembers)):
    return tf_keras.layers.Activation('linear', name=layer.name)
  if isinstance(layer, layers.PerMember):
    layer = layer.layers[index]
  return cloning.copy_layer(layer)


def _member_weights(layer, index):
  """Returns a member's weights of a layer."""
  if isinstance(layer, cloning.PERTURBED):
    return [weight.numpy() for weight in layer.plain_weights(index)]
  if isinstance(layer, layers.PerMember):
    layer = layer.layers[index]
  return layer.get_weights()
