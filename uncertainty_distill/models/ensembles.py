"""A BatchEnsemble as a model: images [B, H, W, C] -> logits [E, B, K]."""

from __future__ import annotations

from typing import Any

from uncertainty_distill import layers, ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.models import variables

import numpy as np
import tensorflow as tf
import tf_keras

# The smallest batch for which applying the members one after the other is
# faster than applying them at once, measured on two cores for WRN-10-1 and
# WRN-16-4.
_MIN_BATCH_SIZE = 8

_MULTIPLIER = 'fast_weight_learning_rate_multiplier'


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class BatchEnsemble(tf_keras.Model):
  """A functional BatchEnsemble that can apply one member after the other.

  Training needs all members at once, for BatchNorm's statistics. In inference
  each member is a plain network with its own weights. If it is cheaper to
  perturb weights than activations, applying these networks one after the other
  saves the copies that join the members' rows.
  """

  # This class has no constructor, so that Keras keeps the class in clones.

  _fast_weight_multiplier = 1.0

  def call(
    self, images: tf.Tensor, training: bool | None = None, mask: Any = None
  ) -> tf.Tensor:
    def at_once():
      return super(BatchEnsemble, self).call(images, training, mask)

    flat = variables.flat_layers(self)
    perturb = next(
      (x.perturb for x in flat if hasattr(x, 'perturb')), 'activations'
    )
    # Losses of activities must not be counted for each member, nor be made in
    # a branch.
    has_losses = any(getattr(x, 'activity_regularizer', None) for x in flat)
    if training or has_losses or not layers.weights_may_be_cheaper(perturb):
      return at_once()
    # Keras also takes images in a list or a dict.
    (batch,) = tf.nest.flatten(images)
    if batch.shape[0] is not None:
      many = batch.shape[0] >= _MIN_BATCH_SIZE
      return self.each_member(batch) if many else at_once()
    many = tf.shape(batch)[0] >= _MIN_BATCH_SIZE
    return tf.cond(many, lambda: self.each_member(batch), at_once)

  def compile(
    self,
    *args: Any,
    fast_weight_learning_rate_multiplier: float = 1.0,
    **kwargs: Any,
  ) -> None:
    """Configures training.

    Args:
      *args: The arguments of `tf_keras.Model.compile`.
      fast_weight_learning_rate_multiplier: The factor of the learning rate of
        alpha and gamma, for every optimizer whose step is proportional to its
        learning rate. A `.keras` file keeps the factor.
      **kwargs: The keyword arguments of `tf_keras.Model.compile`.

    Raises:
      InputError: If the multiplier is below 0. If it is not 1: also if the
        optimizer's step is not proportional to its learning rate, or if the
        optimizer keeps moving averages of weights.
    """
    multiplier = fast_weight_learning_rate_multiplier
    ranges.NOT_NEGATIVE.check(_MULTIPLIER, multiplier)
    super().compile(*args, **kwargs)
    optimizer = getattr(self.optimizer, 'inner_optimizer', self.optimizer)
    if multiplier != 1 and (
      'ftrl' in type(optimizer).__name__.lower()
      or getattr(optimizer, 'use_ema', False)
    ):
      raise InputError(
        _MULTIPLIER,
        multiplier,
        f'1 with {type(optimizer).__name__}, because its step is not '
        'proportional to its learning rate, or because it keeps moving '
        'averages of weights',
        'use SGD, Adam or another optimizer',
      )
    self._fast_weight_multiplier = multiplier

  def get_compile_config(self) -> dict[str, Any] | None:
    config: Any = super().get_compile_config()
    if not config:
      return None
    return {**config, _MULTIPLIER: self._fast_weight_multiplier}

  def compile_from_config(self, config: dict[str, Any]) -> None:
    # Keras does not do this for classes that override `compile`.
    self.compile(**tf_keras.saving.deserialize_keras_object(config))
    if hasattr(self.optimizer, 'build'):  # Legacy optimizers build themselves.
      self.optimizer.build(self.trainable_variables)

  def train_step(self, data: Any) -> dict[str, tf.Tensor]:
    """Takes a step of `fit`, scaled for alpha and gamma."""
    scaled = self._fast_weight_multiplier != 1
    fast = variables.fast_weights(self) if scaled else []
    before = [tf.identity(variable) for variable in fast]
    results = super().train_step(data)
    if fast:
      tf.distribute.get_replica_context().merge_call(
        self._rescale, (fast, before)
      )
    return results

  def _rescale(self, strategy, fast, before):
    """Scales the steps that variables have taken."""

    def assign(variable, old):
      step = self._fast_weight_multiplier * (variable - old)
      variable.assign(old + step)

    for variable, old in zip(fast, before):
      strategy.extended.update(variable, assign, (old,))

  def predict(self, *args: Any, **kwargs: Any) -> np.ndarray:
    """Predicts in batches, as `tf_keras.Model.predict` does.

    Args:
      *args: The arguments of `tf_keras.Model.predict`.
      **kwargs: The keyword arguments of `tf_keras.Model.predict`.

    Returns:
      The logits [E, N, K] of any number N of images.
    """
    # Keras joins batches on the first axis.
    return np.swapaxes(super().predict(*args, **kwargs), 0, 1)

  def predict_on_batch(self, x: Any) -> np.ndarray:
    """Returns the logits [E, B, K] of one batch."""
    return np.swapaxes(super().predict_on_batch(x), 0, 1)

  def predict_step(self, data: Any) -> tf.Tensor:
    """Returns the logits [B, E, K] of one batch, which `predict` joins."""
    logits = super().predict_step(data)
    rank = logits.shape.rank
    return tf.transpose(logits, [1, 0, *range(2, rank)])

  @property
  def ensemble_size(self) -> int:
    """The number of members E."""
    return self.layers[-1].ensemble_size

  def each_member(self, images: tf.Tensor) -> tf.Tensor:
    """Applies one member after the other: [B, H, W, C] -> logits [E, B, K]."""
    logits = []
    for member in range(self.ensemble_size):
      with layers.only(member):
        logits.append(super().call(images, training=False))
    return tf.concat(logits, 0)
