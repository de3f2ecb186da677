"""The base class of architectures, which build networks from their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

from uncertainty_distill.models import variables
from uncertainty_distill.models.settings import Settings

import numpy as np
import tensorflow as tf
import tf_keras

# Makes a BatchNorm layer from `name`.
NormFactory = Callable[..., tf_keras.layers.BatchNormalization]


@dataclasses.dataclass
class Architecture(Settings):
  """A family of networks; the fields choose one network of the family.

  A subclass builds plain Keras models. It knows nothing about members, which
  `batch_ensemble` adds. `ArchitectureChoice` lists the subclasses. The names of
  their fields must differ from those of `ModelConfig` and `TeacherConfig`.

  Attributes:
    L2_GROUPS: The names of the parts of the network that can each have their
      own L2 strength.
  """

  L2_GROUPS: ClassVar[tuple[str, ...]] = ('all',)

  @property
  def label(self) -> str:
    """The usual name of the network, such as WRN-28-10."""
    raise NotImplementedError

  @property
  def identity(self) -> str:
    """A text that two networks have in common if they are built alike."""
    return self.label

  def build(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    mean: Sequence[float] = (0.0,),
    stddev: Sequence[float] = (1.0,),
    batch_norm: NormFactory = tf_keras.layers.BatchNormalization,
  ) -> tf_keras.Model:
    """Builds a functional model with random weights.

    Args:
      image_shape: H, W, C.
      num_classes: K.
      mean: The mean of each channel of the training images, in 0..1.
      stddev: The standard deviation of each channel, in 0..1.
      batch_norm: A function that makes a BatchNorm layer from its name.

    Returns:
      A model that takes images [B, H, W, C] of 0..255, float or integer, and
      returns logits [B, K].

    Raises:
      InputError: If a field is out of its range, or if the fields give no
        network for these images and classes.
    """
    raise NotImplementedError

  @property
  def has_initial_weights(self) -> bool:
    """Whether training starts from trained weights."""
    return False

  def load_initial_weights(self, model: tf_keras.Model) -> None:
    """Loads the trained weights that training starts from.

    Args:
      model: The model that `build` returned. All layers but the last get
        weights.

    Raises:
      InputError: If the weights are missing, or belong to another network.
    """
    raise NotImplementedError

  def l2_groups(self, model: tf_keras.Model) -> list[list[tf.Variable]]:
    """Returns the variables that L2 applies to, a list for each L2 group.

    These are kernels except depthwise kernels, biases, and BatchNorm's scales
    and offsets. Alpha and gamma get no L2. The lists are in the order of
    `L2_GROUPS`.

    Args:
      model: The model that `build` returned, or an ensemble made from it.
    """
    found = variables.flat_layers(model)
    return [sum(map(variables.regularized_weights, found), [])]


def standardize(
  images: tf.Tensor, mean: Sequence[float], stddev: Sequence[float]
) -> tf.Tensor:
  """Maps images of 0..255 to (images / 255 - mean) / stddev, per channel.

  This is a part of the model, so a teacher and a student may standardize in
  different ways, and a served model takes plain images. The computation is in
  float32: bfloat16 can hold the 8 bits of an image, but not the bits of a
  quotient or of a fraction of a gray level.

  Args:
    images: The input of a functional model, [B, H, W, C].
    mean: The mean of each channel of the training images, in 0..1.
    stddev: The standard deviation of each channel, in 0..1.
  """
  means, stddevs = np.array(mean), np.array(stddev)
  return tf_keras.layers.Rescaling(
    (1 / (255 * stddevs)).tolist(),
    (-means / stddevs).tolist(),
    dtype='float32',
    name='standardize',
  )(images)
