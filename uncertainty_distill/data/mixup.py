"""Mixup of the images of a view, as a pure function of (seed, view, example).

Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization", equation 1,
without the labels: a student learns to match its teacher on the mixed images,
as in the function matching of Beyer et al. (2022), "Knowledge distillation: A
good teacher is patient and consistent", section 3.
"""

from __future__ import annotations

from uncertainty_distill.data.random_streams import (
  Stream,
  shuffled,
  stream_seed,
)

import tensorflow as tf


def draw_pairs(
  num_examples: int, seed: int, view: tf.Tensor, concentration: float
) -> tuple[tf.Tensor, tf.Tensor]:
  """Draws the partner and the weight of each training example in one view.

  The weight of an example is max(w, 1 - w), with w ~ Beta(a, a). Each pair is
  equally likely in the other order, so the maximum does not change the
  distribution of the mixed images. It makes each example the larger part of its
  own mixed image.

  Args:
    num_examples: The number of examples N.
    seed: The seed of the views.
    view: The number of the view, a scalar integer.
    concentration: a, above 0.

  Returns:
    The rows of the partners, a permutation, int32 [N], and the examples' own
    weights, float32 [N], from 0.5 to 1.
  """
  partners = shuffled(
    num_examples, stream_seed(seed, view, Stream.MIXUP_PARTNER)
  )
  # Beta(a, a) is the share of one number in the sum of two numbers ~ Gamma(a).
  # In float64, both are 0 only for a tiny a, where one weight is almost 1.
  one, other = tf.unstack(
    tf.random.stateless_gamma(
      [2, num_examples],
      stream_seed(seed, view, Stream.MIXUP_WEIGHT),
      tf.constant(concentration, tf.float64),
      dtype=tf.float64,
    )
  )
  larger = tf.maximum(one, other)
  weights = tf.where(larger > 0, larger / (one + other), 1.0)
  return partners, tf.cast(weights, tf.float32)


def mix(
  images: tf.Tensor, partners: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
  """Mixes images with their partners.

  Args:
    images: uint8 [B, H, W, C].
    partners: uint8 [B, H, W, C].
    weights: The weights of `images`, float32 [B].

  Returns:
    w image + (1 - w) partner, rounded to whole gray levels, uint8 [B, H, W, C].
  """
  weights = weights[:, tf.newaxis, tf.newaxis, tf.newaxis]
  images, partners = (tf.cast(x, tf.float32) for x in (images, partners))
  return tf.saturate_cast(
    tf.round(weights * images + (1 - weights) * partners), tf.uint8
  )
