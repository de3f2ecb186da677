"""Changes images by a teacher's input gradient so that its members disagree.

Nam et al. (2021), "Diversity Matters When Learning From Ensembles", section 4:
on training images that a teacher knows by heart, its members agree, and it
teaches its student little more than the labels do. So each image is moved a
little in a random direction of the teacher's output space (output diversified
sampling, Tashiro et al., 2020).
"""

from __future__ import annotations

from collections.abc import Callable

from uncertainty_distill.errors import InputError

import tensorflow as tf

# Views are rounded to 1/256 of a gray level, so that uint16 can hold them.
LEVEL_PARTS = 256


def diversified_views(
  predict: Callable[[tf.Tensor], tf.Tensor],
  images: tf.Tensor,
  draws: tf.Tensor,
  *,
  size: float = 1.0,
  temperature: float = 1.0,
  share: float = 1.0,
  confident: bool = False,
) -> tf.Tensor:
  """Moves each image so that the prediction of one teacher member changes.

  x' = clip(x + s sqrt(D) g / ||g||_2, 0, 255), where g is the gradient at x of
  w . softmax(z_m(x) / T). The weights w of the K classes are drawn from
  U(-1, 1), m is one of the teacher's members, and D = H W C. So s is the root
  mean square of the change, in gray levels. ConfODS multiplies s by the largest
  probability of member m, since members disagree anyway where the teacher is
  unsure.

  The paper draws one m for each batch. Here each image has its own m, so that
  its view does not depend on the other images in the batch.

  Args:
    predict: The teacher, a function from float32 images [B, H, W, C] to logits
      [M, B, K]. The logits of an image must not depend on the other images.
    images: [B, H, W, C], from 0 to 255.
    draws: Random numbers from 0 to 1, float32 [B, K + 2]. They determine w, m
      and whether the image is moved.
    size: s, in gray levels; 1 in the paper.
    temperature: T.
    share: The share of the images that are moved.
    confident: Whether to use ConfODS instead of ODS.

  Returns:
    Float32 [B, H, W, C], rounded to 1/256 of a gray level.

  Raises:
    InputError: If no gradient flows through the teacher.
  """
  images = tf.cast(images, tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(images)
    probs = tf.nn.softmax(tf.cast(predict(images), tf.float32) / temperature)
    members = tf.shape(probs)[0]
    chosen = tf.cast(draws[:, -2] * tf.cast(members, tf.float32), tf.int32)
    # In float32, the product of M and a number below 1 can round up to M.
    chosen = tf.minimum(chosen, members - 1)
    of_member = tf.one_hot(chosen, members, axis=0)[..., tf.newaxis]
    # One sum suffices: an image's term does not depend on the other images.
    probs = tf.reduce_sum(of_member * probs, 0)
    # Adding a number to w leaves the gradient as it is. If w is 0 for the most
    # probable class, no small gradient is lost between numbers near 1.
    weights = 2 * draws[:, :-2] - 1
    top = tf.argmax(probs, axis=-1)
    weights -= tf.gather(weights, top, batch_dims=1)[:, tf.newaxis]
    value = tf.reduce_sum(weights * probs)
  gradient = tape.gradient(value, images)
  if gradient is None:
    raise no_gradient('ods or conf_ods')
  step = size * _unit(gradient)  # pyright: ignore[reportArgumentType]
  if confident:
    step *= _per_image(tf.reduce_max(probs, axis=-1))
  moved = tf.clip_by_value(images + step, 0.0, 255.0)
  moved = tf.round(moved * LEVEL_PARTS) / LEVEL_PARTS
  return tf.where(_per_image(draws[:, -1] < share), moved, images)


def no_gradient(perturbation: str) -> InputError:
  """Returns the error for a teacher through which no gradient flows."""
  name = 'task.objective.perturbation'
  return InputError(
    name,
    perturbation,
    'none',
    message=f'`{name}` must be none with this teacher: the perturbed views '
    'need a gradient, but no gradient flows through stored predictions or '
    'through a model that takes uint8 images',
  )


def _unit(gradient: tf.Tensor) -> tf.Tensor:
  """Scales each image's gradient to a root mean square of 1; 0 stays 0."""
  axes = [1, 2, 3]
  # Divided by the largest value first: the gradient of a sure teacher is so
  # small that its squares would be 0.
  largest = tf.reduce_max(tf.abs(gradient), axes, keepdims=True)
  gradient = tf.math.divide_no_nan(gradient, largest)
  mean_square = tf.reduce_mean(tf.square(gradient), axes, keepdims=True)
  return tf.math.divide_no_nan(gradient, tf.sqrt(mean_square))


def _per_image(values: tf.Tensor) -> tf.Tensor:
  """Reshapes [B] to [B, 1, 1, 1], which broadcasts to images."""
  return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
