"""Variables by what their layer is, never by their name."""

from __future__ import annotations

from uncertainty_distill.layers import batch_ensemble
from uncertainty_distill.models.wide_resnet import GROUPS

import tensorflow as tf
import tf_keras

_WITH_KERNEL = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)


def fast_weights(model: tf.Module) -> list[tf.Variable]:
  """Returns alpha and gamma of every BatchEnsemble layer of a model."""
  perturbed = (
    batch_ensemble.Conv2DBatchEnsemble,
    batch_ensemble.DenseBatchEnsemble,
  )
  return [
    variable
    for layer in model.submodules
    if isinstance(layer, perturbed)
    for variable in (layer.alpha, layer.gamma)
  ]


def kernel_layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  """Returns the convolutions and dense layers of a network, in its order.

  In a Wide ResNet the order is that of its one definition, so that the lists of
  two networks of one depth, plain ones or BatchEnsembles, go together.
  """
  return [layer for layer in model.layers if isinstance(layer, _WITH_KERNEL)]


def regularized_blocks(model: tf_keras.Model) -> list[list[tf.Variable]]:
  """Returns what L2 applies to in the published baselines, block by block.

  These are the kernels, the biases of the dense layer, and BatchNorm's scale
  and offset; alpha and gamma are left alone.

  Args:
    model: A Wide ResNet as `build_model` returns it. Where a layer is follows
      from the network's one definition: behind the first convolution every
      block of a group begins with the first of its two BatchNorms, and the last
      BatchNorm goes before the dense layer.

  Returns:
    Six lists: of the first convolution; of each of the three groups; of the
    dense kernel and the last BatchNorm; of the dense bias.
  """
  norm = tf_keras.layers.BatchNormalization
  norms = sum(isinstance(layer, norm) for layer in model.layers)
  norms_per_group = (norms - 1) // len(GROUPS)
  blocks = [[] for _ in range(len(GROUPS) + 3)]
  block = seen = 0
  for layer in model.layers:
    if isinstance(layer, norm):
      block = 1 + seen // norms_per_group
      seen += 1
      blocks[block] += [layer.gamma, layer.beta]
    elif isinstance(layer, _WITH_KERNEL):
      blocks[block].append(layer.kernel)
      # A BatchEnsemble layer has one bias a member under another name.
      bias = getattr(layer, 'ensemble_bias', layer.bias)
      if bias is not None:
        blocks[-1].append(bias)
  return blocks
