"""Views on which a teacher's members differ, from the teacher's input gradient.

Nam et al. (2021), "Diversity Matters When Learning From Ensembles", section 4:
a teacher that knows its training images by heart has little to tell its student
there that the labels do not, and its members all say the same. So each image is
moved a little into a random direction of the teacher's output space (output
diversified sampling, Tashiro et al., 2020).
"""

from __future__ import annotations

from collections.abc import Callable

from uncertainty_distill.errors import InputError

import tensorflow as tf

# Parts of a gray level that views are rounded to, so that uint16 holds them.
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
  """Moves images to where one of a teacher's members says something else.

  x' = clip(x + s sqrt(D) g / ||g||_2, 0, 255), where g is the gradient at x of
  w . softmax(z_m(x) / T), the weights w are drawn from U(-1, 1) for each of the
  K classes, m is one of the teacher's members, and D = H W C: s is the root
  mean square of the change, in gray levels. ConfODS multiplies it by the
  largest of these probabilities: where the teacher is unsure, it differs
  anyhow.

  The paper draws m for each batch; here each image has its own, so that its
  view does not depend on the others in the batch.

  Args:
    predict: The teacher: from float32 images [B, H, W, C] to logits [M, B, K].
      No example may depend on another one.
    images: [B, H, W, C], from 0 to 255.
    draws: Random numbers from 0 to 1, float32 [B, K + 2]: what w, m and whether
      the image is moved follow from.
    size: s, in gray levels; the paper has 1.
    temperature: T.
    share: The share of the images that are moved.
    confident: Whether to take ConfODS instead of ODS.

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
    # Float32 can round a product of a number below 1 up to M.
    chosen = tf.minimum(chosen, members - 1)
    of_member = tf.one_hot(chosen, members, axis=0)[..., tf.newaxis]
    # A sum, since no image's own part depends on the others.
    probs = tf.reduce_sum(of_member * probs, 0)
    value = tf.reduce_sum((2 * draws[:, :-2] - 1) * probs)
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
  """Returns the error of a teacher through which no gradient flows."""
  name = 'task.objective.perturbation'
  return InputError(
    name,
    perturbation,
    'none',
    message=f'`{name}` must be none with this teacher: its views need a '
    'gradient, and none flows through stored predictions, nor through a model '
    'that takes uint8 images',
  )


def _unit(gradient: tf.Tensor) -> tf.Tensor:
  """Gives each image's gradient a root mean square of 1; 0 stays 0."""
  axes = [1, 2, 3]
  # First by the largest: the squares of a sure teacher's would be 0.
  largest = tf.reduce_max(tf.abs(gradient), axes, keepdims=True)
  gradient = tf.math.divide_no_nan(gradient, largest)
  mean_square = tf.reduce_mean(tf.square(gradient), axes, keepdims=True)
  return tf.math.divide_no_nan(gradient, tf.sqrt(mean_square))


def _per_image(values: tf.Tensor) -> tf.Tensor:
  """Gives [B] the axes of images, [B, 1, 1, 1]."""
  return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
