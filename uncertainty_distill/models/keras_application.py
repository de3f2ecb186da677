"""The networks of `tf_keras.applications`, with or without trained weights."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Sequence

from uncertainty_distill import ranges
from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.io import files
from uncertainty_distill.models.architecture import (
  Architecture,
  NormFactory,
  standardize,
)

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras.src.applications import efficientnet

_IMAGENET = 'imagenet'


def _is_application(name: str) -> bool:
  return name[:1].isupper() and inspect.isfunction(
    getattr(tf_keras.applications, name, None)
  )


@dataclasses.dataclass
class KerasApplication(Architecture):
  """A network of `tf_keras.applications` with a new last dense layer.

  Networks that contain their preprocessing, such as EfficientNet, keep it.
  Networks that start from trained weights use the preprocessing that Keras has
  for them. All other networks standardize images as a Wide ResNet does.
  BatchNorm has the network's own epsilon, but not its momentum: the momentum of
  MobileNetV2, 0.999, needs thousands of steps.

  In bfloat16, preprocessing that a network contains rounds images to 8 bits, so
  changes of less than a gray level are partly lost.

  Attributes:
    application: The name of the function, such as MobileNetV2 or ResNet50.
    weights: The weights that training starts from, for all layers but the last:
      `imagenet`, which Keras downloads, or a file with the weights of this
      network without its top, as `Model.save_weights` writes it. Empty for
      random weights.
  """

  application: str = ranges.field(
    'MobileNetV2',
    ranges.Range(
      _is_application,
      'a network of tf_keras.applications, such as MobileNetV2 or ResNet50',
    ),
  )
  weights: str = ''

  @property
  def label(self) -> str:
    return self.application

  # No layer needs AutoGraph, which would rewrite the source of every layer.
  @tf.autograph.experimental.do_not_convert
  def build(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    mean: Sequence[float] = (0.0,),
    stddev: Sequence[float] = (1.0,),
    batch_norm: NormFactory = tf_keras.layers.BatchNormalization,
  ) -> tf_keras.Model:
    ranges.check_fields(self)
    function = getattr(tf_keras.applications, self.application)
    images = tf_keras.Input(tuple(image_shape), dtype='float32', name='images')
    x = sys.modules[function.__module__].preprocess_input(images)
    if x is not images and not self.weights:
      x = standardize(images, mean, stddev)  # pyright: ignore[reportArgumentType]
    try:
      features = function(
        include_top=False, weights=None, input_tensor=x, pooling='avg'
      )
    except ValueError as error:
      raise InputError(
        'image_shape',
        list(image_shape),
        f'a shape that {self.application} accepts',
        'set `task.train_data.image_size` to a larger size',
      ) from error
    logits = tf_keras.layers.Dense(num_classes, name='logits')(features.output)
    model = tf_keras.Model(images, logits, name=self.application.lower())
    given = batch_norm(name='norm')
    for layer in model.layers:
      if isinstance(layer, tf_keras.layers.BatchNormalization):
        layer.momentum = given.momentum
        layer.synchronized = given.synchronized
    return model

  @property
  def has_initial_weights(self) -> bool:
    return bool(self.weights)

  def load_initial_weights(self, model: tf_keras.Model) -> None:
    source = None
    if self.weights == _IMAGENET:
      source = getattr(tf_keras.applications, self.application)
    body = tf_keras.Model(model.input, model.layers[-1].input)
    try:
      if source is None:
        body.load_weights(files.expanded(self.weights))
      else:
        size = tuple(model.input_shape[1:])
        given = source(
          include_top=False, weights=_IMAGENET, input_shape=size, pooling='avg'
        )
        body.set_weights(given.get_weights())
      if self.application.startswith('EfficientNetB'):
        _scale(body)
    except Exception as error:
      # Keras and h5py raise many types of errors: for a missing file, without
      # internet access, for other shapes.
      raise InputError(
        'task.model.weights',
        self.weights,
        f'`imagenet`, or a file of weights of {self.application} without its '
        f'top layer ({type(error).__name__}: {first_line(error)})',
      ) from error


def _scale(body):
  """Gives an EfficientNet's stem the inputs that its weights were trained for.

  Only with the weights of ImageNet, Keras divides images once more, by the
  square root of the standard deviations of ImageNet's colors. Keras adds an
  operation without weights for this. Here the Normalization layer, which holds
  these standard deviations, does the same.
  """
  stddev = np.array(efficientnet.IMAGENET_STDDEV_RGB, np.float32)
  for layer in body.layers:
    if isinstance(layer, tf_keras.layers.Normalization):
      mean, variance, count = layer.get_weights()
      if np.allclose(variance, stddev**2, rtol=1e-3):
        layer.set_weights([mean, variance * stddev, count])
