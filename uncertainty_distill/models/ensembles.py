"""Everything is an ensemble: images [B, H, W, C] -> logits [E, B, K]."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from uncertainty_distill.errors import InputError
from uncertainty_distill.layers import batch_ensemble, members, perturbation
from uncertainty_distill.models.wide_resnet import wide_resnet

import tensorflow as tf
import tf_keras

# From here on applying the members in turn is faster than applying them at
# once; measured on two cores for WRN-10-1 and WRN-16-4.
_LEAST_BATCH = 8


class Standardize(tf_keras.layers.Layer):
  """Takes images of 0..255 to (images / 255 - mean) / stddev, per channel.

  It is part of the model, so that a teacher and a student may standardise in
  different ways, and a served model takes plain images.
  """

  def __init__(self, mean: Sequence[float], stddev: Sequence[float], **kwargs):
    super().__init__(**kwargs)
    self.mean = tuple(mean)
    self.stddev = tuple(stddev)

  def call(self, images):
    # In float32 before the compute type: bfloat16 holds 8 bits of an image's
    # 8, but not of its quotients.
    scale = 1.0 / (255.0 * tf.constant(self.stddev))
    shift = tf.constant(self.mean) / tf.constant(self.stddev)
    return tf.cast(
      tf.cast(images, tf.float32) * scale - shift, self.compute_dtype
    )

  def get_config(self):
    return {**super().get_config(), 'mean': self.mean, 'stddev': self.stddev}


def _layer_factories(ensemble_size, rank, perturb, fast_weight_stddev):
  """Returns what makes a convolution and what makes a dense layer."""

  def options():
    # New objects for each layer: an unseeded initialiser repeats its values.
    shared = {'kernel_initializer': tf_keras.initializers.HeNormal()}
    if ensemble_size == 1:
      return shared
    fast = functools.partial(
      tf_keras.initializers.RandomNormal, mean=1.0, stddev=fast_weight_stddev
    )
    return {
      **shared,
      'ensemble_size': ensemble_size,
      'rank': rank,
      'perturb': perturb,
      'alpha_initializer': fast(),
      'gamma_initializer': fast(),
    }

  def conv(filters, kernel_size, strides, name):
    single = ensemble_size == 1
    layer = (
      tf_keras.layers.Conv2D if single else batch_ensemble.Conv2DBatchEnsemble
    )
    return layer(
      filters,
      kernel_size,
      strides=strides,
      padding='same',
      use_bias=False,
      name=name,
      **options(),
    )

  def dense(units, name):
    single = ensemble_size == 1
    layer = (
      tf_keras.layers.Dense if single else batch_ensemble.DenseBatchEnsemble
    )
    return layer(units, name=name, **options())

  return conv, dense


# No layer here needs AutoGraph, which would rewrite the source of each of them.
@tf.autograph.experimental.do_not_convert
def build_model(
  *,
  image_shape: Sequence[int],
  num_classes: int,
  depth: int,
  width: int,
  mean: Sequence[float],
  stddev: Sequence[float],
  ensemble_size: int = 1,
  rank: int = 1,
  perturb: str = 'auto',
  fast_weight_stddev: float = 0.5,
  batch_norm_momentum: float = 0.9,
  batch_norm_epsilon: float = 1e-5,
  sync_batch_norm: bool = False,
) -> tf_keras.Model:
  """Builds a Wide ResNet: one network, or a BatchEnsemble of several members.

  The members share the kernels and the BatchNorm layers; each has its own
  alpha and gamma in every convolution and in the dense layer, and its own bias
  of the logits.

  Args:
    image_shape: H, W, C.
    num_classes: K.
    depth: 6 n + 4.
    width: Multiplier of the channels.
    mean: Of each channel of the training images, in 0..1.
    stddev: Likewise.
    ensemble_size: E; 1 is a plain network.
    rank: Of the members' perturbations.
    perturb: What they are applied to, one of `perturbation.SIDES`.
    fast_weight_stddev: alpha, gamma ~ N(1, fast_weight_stddev^2).
    batch_norm_momentum: Of the moving statistics.
    batch_norm_epsilon: Added to the variance.
    sync_batch_norm: Whether training normalises by the statistics of the
      global batch rather than of each replica's.

  Returns:
    A model that takes uint8 images [B, H, W, C] and returns float32 logits
    [E, B, K].

  Raises:
    InputError: If the depth is not 6 n + 4.
  """
  conv, dense = _layer_factories(
    ensemble_size, rank, perturb, fast_weight_stddev
  )
  norm = functools.partial(
    tf_keras.layers.BatchNormalization,
    momentum=batch_norm_momentum,
    epsilon=batch_norm_epsilon,
    synchronized=sync_batch_norm,
  )
  images = tf_keras.Input(tuple(image_shape), dtype=tf.uint8, name='images')
  x = Standardize(mean, stddev, name='standardize')(images)
  if ensemble_size > 1:
    x = members.TileMembers(ensemble_size, name='tile')(x)
  network = functools.partial(
    wide_resnet, depth=depth, width=width, num_classes=num_classes
  )
  logits = network(x, conv=conv, dense=dense, norm=norm)
  logits = members.SplitMembers(ensemble_size, name='split')(logits)
  name = f'wide_resnet_{depth}_{width}'
  if ensemble_size == 1:
    return tf_keras.Model(images, logits, name=name)
  return BatchEnsemble(images, logits, network=network, name=name)


class BatchEnsemble(tf_keras.Model):
  """A functional BatchEnsemble that may infer one member after the other.

  Training needs all members at once, for BatchNorm's statistics. In inference
  each member is a plain network with weights of its own; where perturbed
  weights are cheaper than perturbed activations, applying these networks in
  turn saves the copies that bring the members' rows together.
  """

  def __init__(self, images, logits, *, network, **kwargs):
    """Wraps the functional model of all members at once.

    Args:
      images: Its input.
      logits: Its output, [E, B, K].
      network: Applies a Wide ResNet to images, given `conv`, `dense`, `norm`.
      **kwargs: Of `tf_keras.Model`.
    """
    super().__init__(images, logits, **kwargs)
    self._network = network

  def call(self, images, training=None, mask=None):
    def at_once():
      return super(BatchEnsemble, self).call(images, training, mask)

    perturb = self.get_layer('logits').perturb
    if training or not perturbation.weights_may_be_cheaper(perturb):
      return at_once()
    if images.shape[0] is not None:
      many = images.shape[0] >= _LEAST_BATCH
      return self.each_member(images) if many else at_once()
    many = tf.shape(images)[0] >= _LEAST_BATCH
    return tf.cond(many, lambda: self.each_member(images), at_once)

  @property
  def ensemble_size(self) -> int:
    """Members E."""
    return self.get_layer('logits').ensemble_size

  def each_member(self, images: tf.Tensor) -> tf.Tensor:
    """Infers one member after the other: [B, H, W, C] -> logits [E, B, K]."""
    images = self.get_layer('standardize')(images)
    logits = [
      self._network(images, **self._layers_of(member))
      for member in range(self.ensemble_size)
    ]
    return tf.cast(tf.stack(logits), tf.float32)

  def _layers_of(self, member):
    """Returns factories that find one member's layers instead of making any."""

    def find(*args, name, **kwargs):
      del args, kwargs
      return functools.partial(self.get_layer(name), member=member)

    def find_norm(name):
      return functools.partial(self.get_layer(name), training=False)

    return {'conv': find, 'dense': find, 'norm': find_norm}


class DeepEnsemble(tf_keras.Model):
  """Models side by side: the members of all of them, in order.

  Called with images [B, H, W, C], it returns logits [M, B, K], M being the sum
  of the models' members.
  """

  def __init__(self, models: Sequence[tf_keras.Model], **kwargs):
    """Stacks models of the same images and classes.

    Args:
      models: Each takes [B, H, W, C] and returns [E, B, K].
      **kwargs: Of `tf_keras.Model`.

    Raises:
      InputError: If there is no model.
    """
    super().__init__(**kwargs)
    if not models:
      raise InputError('models', models, 'at least one model')
    self.models = list(models)

  def call(self, images, training=None):
    return tf.concat([m(images, training=training) for m in self.models], 0)
