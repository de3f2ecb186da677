"""Random resized crops and color jitter, as a pure function of a seed.

These changes come before the crops and flips of `augmentation`. Each example of
each view has a seed of its own.
"""

from __future__ import annotations

import dataclasses

from uncertainty_distill.data.random_streams import (
  Stream,
  example_seeds,
  split,
)

import tensorflow as tf

# The proportions of a crop, width to height, as in Inception's training.
_PROPORTIONS = 3 / 4, 4 / 3


@dataclasses.dataclass(frozen=True)
class Distortion:
  """The changes to images besides the crops and flips of `augmentation`.

  Attributes:
    crop_area: The smallest share of an image's area that a random crop may
      have. The crop is enlarged to the size of the image. 1 for no crop.
    color_jitter: The largest change of the brightness, in 0..1, and the largest
      relative change of the contrast and the saturation; 0 for no change.
  """

  crop_area: float = 1.0
  color_jitter: float = 0.0

  def __bool__(self) -> bool:
    return self.crop_area < 1 or self.color_jitter > 0

  def seeds(self, num_examples: int, seed: int, view: tf.Tensor) -> tf.Tensor:
    """Returns the seed of each example in a view.

    Args:
      num_examples: The number of examples N.
      seed: The seed of the views.
      view: The number of the view, a scalar integer.

    Returns:
      int32 [N, 2].
    """
    return example_seeds(num_examples, seed, view, Stream.DISTORTION)

  def apply(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Distorts each image as its seed determines.

    Args:
      images: uint8 [B, H, W, 3].
      seeds: int32 [B, 2].

    Returns:
      uint8 [B, H, W, 3].
    """
    return tf.map_fn(
      tf.autograph.experimental.do_not_convert(self._one),
      (images, seeds),
      fn_output_signature=tf.TensorSpec(images.shape[1:], tf.uint8),
    )

  def _one(self, arguments: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    image, seed = arguments
    shape = image.shape
    if self.crop_area < 1:
      first, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed,
        min_object_covered=0.0,
        aspect_ratio_range=_PROPORTIONS,
        area_range=(self.crop_area, 1.0),
      )
      image = tf.image.resize(tf.slice(image, first, size), shape[:2])
    image = tf.cast(image, tf.float32) / 255.0
    jitter = self.color_jitter
    if jitter:
      low, high = 1.0 - jitter, 1.0 + jitter
      image = tf.image.stateless_random_brightness(
        image, jitter, split(seed, 0)
      )
      image = tf.image.stateless_random_contrast(
        image, low, high, split(seed, 1)
      )
      image = tf.image.stateless_random_saturation(
        tf.clip_by_value(image, 0.0, 1.0), low, high, split(seed, 2)
      )
    image = tf.saturate_cast(tf.round(image * 255.0), tf.uint8)
    return tf.ensure_shape(image, shape)
