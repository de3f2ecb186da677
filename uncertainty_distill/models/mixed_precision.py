"""Weights in the type that they are multiplied in."""

from __future__ import annotations

import tf_keras


def cast_weights(model: tf_keras.Model) -> tf_keras.Model:
  """Returns a model of the same outputs that casts its weights once.

  Under a mixed policy a layer keeps float32 weights, since training has to add
  small steps to them, and casts them at each call. Where nothing is added any
  longer, weights that were cast beforehand are the same, and each call reads
  half the bytes. BatchNorm computes with float32 weights and keeps them.

  Args:
    model: A functional model that is no longer trained. It is returned
      itself if it casts nothing.
  """
  if not any(map(_casts, model.layers)):
    return model
  cast = tf_keras.models.clone_model(model, clone_function=_copy)
  cast.set_weights(model.get_weights())
  return cast


def _casts(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer computes with another type than it stores."""
  return (
    isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense))
    and layer.compute_dtype != layer.variable_dtype
  )


def _copy(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
  config = layer.get_config()
  if _casts(layer):
    config['dtype'] = layer.compute_dtype
  return type(layer).from_config(config)
