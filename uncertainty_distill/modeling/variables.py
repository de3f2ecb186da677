"""Variables by what their layer is, never by their name."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from uncertainty_distill.modeling import layers


def fast_weights(model: tf.Module) -> list[tf.Variable]:
  """Returns alpha and gamma of every BatchEnsemble layer of a model."""
  batch_ensemble = (layers.Conv2DBatchEnsemble, layers.DenseBatchEnsemble)
  return [
      variable
      for layer in model.submodules
      if isinstance(layer, batch_ensemble)
      for variable in (layer.alpha, layer.gamma)
  ]


def kernel_layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  """Returns the convolutions and dense layers of a network, in its order.

  In a Wide ResNet the order is that of its one definition, so that the lists of
  two networks of one depth, plain ones or BatchEnsembles, go together.
  """
  with_kernel = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)
  return [layer for layer in model.layers if isinstance(layer, with_kernel)]


def regularized_weights(model: tf.Module) -> list[tf.Variable]:
  """Returns what L2 applies to in the published baselines.

  These are the kernels, the biases of the dense layer, and BatchNorm's scale
  and offset; alpha and gamma are left alone.
  """
  variables = []
  for layer in model.submodules:
    if isinstance(layer, tf_keras.layers.BatchNormalization):
      variables += [layer.gamma, layer.beta]
    elif isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense)):
      variables.append(layer.kernel)
      # A BatchEnsemble layer has one bias a member under another name.
      bias = getattr(layer, 'ensemble_bias', layer.bias)
      if bias is not None:
        variables.append(bias)
  return variables
