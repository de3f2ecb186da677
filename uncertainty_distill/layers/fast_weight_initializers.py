"""The initial values of alpha and gamma."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

FAST_WEIGHTS = ('normal', 'signs', 'ones', 'first_layer_signs')


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class RandomSigns(tf_keras.initializers.Initializer):
  """-1 or 1, each with a probability of 1/2 (Wen, Tran and Ba, 2020)."""

  def __init__(self, seed: int | None = None):
    """Takes the seed of the signs; None for TensorFlow's seed."""
    self._seed = seed
    self._uniform = tf_keras.initializers.RandomUniform(-1.0, 1.0, seed)

  def __call__(
    self, shape: Any, dtype: tf.DType | None = None, **kwargs: Any
  ) -> tf.Tensor:
    values = self._uniform(shape, tf.float32, **kwargs)
    return tf.cast(tf.where(values < 0, -1.0, 1.0), dtype or tf.float32)

  def get_config(self) -> dict[str, Any]:
    return {'seed': self._seed}


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class FirstTermOnes(tf_keras.initializers.Initializer):
  """Ones in the first term of alpha or gamma, [rank, E, C].

  The other terms are random signs in alpha and 0 in gamma. So their products
  are 0, but their gradients differ.
  """

  def __init__(self, others: str):
    """Takes the values of the other terms, `signs` or `zeros`."""
    self._others = others

  def __call__(
    self, shape: Any, dtype: tf.DType | None = None, **kwargs: Any
  ) -> tf.Tensor:
    zeros = tf_keras.initializers.Zeros()
    others = RandomSigns() if self._others == 'signs' else zeros
    rank, *shape = shape
    first = tf.ones([1, *shape], dtype or tf.float32)
    return tf.concat([first, others([rank - 1, *shape], dtype, **kwargs)], 0)

  def get_config(self) -> dict[str, Any]:
    return {'others': self._others}


def fast_weight_initializers(
  kind: str, rank: int, stddev: float, is_first: bool
) -> dict[str, tf_keras.initializers.Initializer]:
  """Returns the initializers of a layer's alpha and gamma.

  Args:
    kind: One of `FAST_WEIGHTS`: `normal` draws from N(1, stddev^2), so that a
      perturbation of rank k has a mean of k, as in Edward2's layers; `signs`
      draws -1 or 1; `ones` begins with no perturbation at all; and
      `first_layer_signs` has signs in the first layer and ones in all others.
      TabM (Gorishniy et al. 2024) has signs only in the first layer's alpha.
      For the three channels of an image these signs would be few, so gamma has
      signs, too.
    rank: The rank of the perturbations.
    stddev: The standard deviation of `normal`.
    is_first: Whether the layer is the first one.

  Returns:
    New initializers, by the names of the layers' arguments. An initializer that
    is used twice would repeat its values.
  """
  if kind == 'normal':
    alpha, gamma = (
      tf_keras.initializers.RandomNormal(1.0, stddev) for _ in range(2)
    )
  elif kind == 'signs' or (kind == 'first_layer_signs' and is_first):
    alpha, gamma = RandomSigns(), RandomSigns()
  elif rank > 1:
    alpha, gamma = FirstTermOnes('signs'), FirstTermOnes('zeros')
  else:
    alpha, gamma = (tf_keras.initializers.Ones() for _ in range(2))
  return {'alpha_initializer': alpha, 'gamma_initializer': gamma}
