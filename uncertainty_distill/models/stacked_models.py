"""Several models as one deep ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uncertainty_distill.errors import InputError

import tensorflow as tf
import tf_keras


class DeepEnsemble(tf_keras.Model):
  """The members of several models, one model after the other.

  Takes images [B, H, W, C] and returns logits [M, B, K], where M is the total
  number of the models' members.
  """

  def __init__(self, models: Sequence[tf_keras.Model], **kwargs: Any):
    """Combines models of the same images and classes.

    Args:
      models: The models. Each takes [B, H, W, C] and returns [E, B, K].
      **kwargs: The arguments of `tf_keras.Model`.

    Raises:
      InputError: If `models` is empty.
    """
    super().__init__(**kwargs)
    if not models:
      raise InputError('models', models, 'at least one model')
    self.models: list[tf_keras.Model] = list(models)

  def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    return tf.concat([m(images, training=training) for m in self.models], 0)
