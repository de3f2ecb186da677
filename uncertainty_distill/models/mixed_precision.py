"""Casts weights to the type that layers compute in."""

from __future__ import annotations

import tf_keras


def cast_weights(model: tf_keras.Model) -> tf_keras.Model:
  """Returns a model with the same outputs that casts its weights only once.

  Under a mixed policy a layer keeps float32 weights, since training has to add
  small steps to them, and casts them at each call. After training, weights that
  are cast beforehand give the same outputs, and each call reads half the bytes.
  BatchNorm computes with float32 weights and keeps them.

  Args:
    model: A functional model that is no longer trained. It is returned
      unchanged if its layers cast nothing.
  """
  if not any(map(_casts, model.layers)):
    return model
  cast = tf_keras.models.clone_model(model, clone_function=_copy)
  cast.set_weights(model.get_weights())
  return cast


def _casts(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a Conv2D or Dense layer computes in another type."""
  return (
    isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense))
    and layer.compute_dtype != layer.variable_dtype
  )


def _copy(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
  config = layer.get_config()
  if _casts(layer):
    config['dtype'] = layer.compute_dtype
  return type(layer).from_config(config)
