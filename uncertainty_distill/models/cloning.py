"""Copies of networks and of their layers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from uncertainty_distill import layers
from uncertainty_distill.models import variables

import tensorflow as tf
import tf_keras

# Layers of a BatchEnsemble that have alpha and gamma.
PERTURBED = (
  layers.BatchEnsembleLayer,
  layers.SeparableConv2DBatchEnsemble,
)


def clone(
  model: tf_keras.Model,
  copy_of: Callable[[tf_keras.layers.Layer], tf_keras.layers.Layer],
) -> tf_keras.Model:
  """Returns a network with the same graph and other layers.

  Args:
    model: The network, which may contain nested networks.
    copy_of: A function that returns the new layer for a layer. It is called
      once for each layer, even if the layer is used several times.
  """
  done = {}

  def copy(layer):
    if layer not in done:
      nested = variables.is_network(layer)
      done[layer] = (
        tf_keras.models.clone_model(layer, clone_function=copy)
        if nested
        else copy_of(layer)
      )
    return done[layer]

  return tf_keras.models.clone_model(model, clone_function=copy)


def copy_layer(layer: tf_keras.layers.Layer) -> Any:
  """Returns a new layer with the same configuration."""
  config = {**layer.get_config(), **layers.left_out_config(layer)}
  return type(layer).from_config(config)


@contextlib.contextmanager
def without_initial_values() -> Iterator[None]:
  """Makes models that are built within the context start from zeros.

  Zeros take no time, and use none of the random numbers that a seed gives.
  """

  def creator(next_creator, **kwargs):
    if callable(kwargs['initial_value']):
      shape, dtype = kwargs['shape'], kwargs['dtype']
      kwargs['initial_value'] = lambda: tf.zeros(shape, dtype)
    return next_creator(**kwargs)

  with tf.variable_creator_scope(creator):
    yield
