"""Tests of views by a teacher's input gradient, against NumPy."""

from uncertainty_distill import losses

import numpy as np
import pytest
import refusals
import scipy.special
import tensorflow as tf

_SHAPE = (2, 3, 1)
_RNG = np.random.default_rng(0)
# Two members, five images, four classes.
_WEIGHTS = _RNG.normal(size=(2, 6, 4)) / 100
_IMAGES = _RNG.integers(20, 200, size=(5, *_SHAPE)).astype(np.float32)
_DRAWS = np.float32(_RNG.random((5, 6)))
_DRAWS[:, -2] = [0.1, 0.6, 0.9, 0.4, 0.5]
_MEMBERS = [0, 1, 1, 0, 1]


def _predict(images):
  rows = tf.reshape(images, [-1, 6])
  return tf.einsum('bd,mdk->mbk', rows, tf.constant(_WEIGHTS, tf.float32))


def _views(images=_IMAGES, predict=_predict, **options):
  made = losses.diversified_views(
    predict, tf.constant(images), tf.constant(_DRAWS), **options
  )
  assert made.dtype == tf.float32
  return made.numpy()


def _expected(size, temperature, confident=False):
  """Returns the views by NumPy.

  The gradient of w . softmax(x W / T) is W (w - w.p) p / T, for w and for w
  minus any number: here w of the most probable class, to be exact.
  """
  moved = np.float64(_IMAGES)
  for image, draws, member in zip(moved, _DRAWS, _MEMBERS):
    weights, directions = _WEIGHTS[member], 2 * np.float64(draws[:4]) - 1
    p = scipy.special.softmax(image.ravel() @ weights / temperature)
    directions -= directions[p.argmax()]
    gradient = weights @ (p * (directions - directions @ p)) / temperature
    unit = gradient / np.linalg.norm(gradient)
    factor = size * (p.max() if confident else 1)
    image += (factor * np.sqrt(6) * unit).reshape(_SHAPE)
  return moved.clip(0, 255)


@pytest.mark.parametrize('confident', [False, True])
@pytest.mark.parametrize('size, temperature', [(1.0, 1.0), (60.0, 4.0)])
def test_views_by_numpy(size, temperature, confident):
  options = dict(size=size, temperature=temperature, confident=confident)
  made = _views(**options)
  # Views are rounded to 1/256 of a gray level.
  np.testing.assert_allclose(made, _expected(**options), atol=0.5 / 256 + 1e-4)
  np.testing.assert_array_equal(made * 256, np.round(made * 256))


def test_a_share_of_the_images_is_changed():
  changed = (_views(share=0.5) != _IMAGES).any((1, 2, 3))
  np.testing.assert_array_equal(changed, _DRAWS[:, -1] < 0.5)
  assert 0 < changed.sum() < 5


def test_a_view_does_not_depend_on_the_batch():
  alone = losses.diversified_views(
    _predict, tf.constant(_IMAGES[3:4]), tf.constant(_DRAWS[3:4])
  )
  np.testing.assert_allclose(alone[0], _views()[3], atol=1 / 256)


def test_a_teacher_that_is_sure_still_has_a_direction():
  # The second probabilities go down to 1e-22: in float32, the squares of some
  # gradients are 0, and 1 minus such a probability is 1.
  made = _views(temperature=1 / 30)
  expected = _expected(1.0, 1 / 30)
  np.testing.assert_allclose(made, expected, atol=0.5 / 256 + 1e-4)
  flat = _views(predict=lambda images: 0 * _predict(images))
  np.testing.assert_array_equal(flat, _IMAGES)


def test_it_compiles_with_static_shapes():
  compiled = tf.function(_views_of, jit_compile=True, autograph=False)
  made = compiled(tf.constant(_IMAGES), tf.constant(_DRAWS))
  np.testing.assert_allclose(made, _views(confident=True), atol=1 / 256)


def _views_of(images, draws):
  return losses.diversified_views(_predict, images, draws, confident=True)


def test_a_teacher_without_a_gradient_is_refused():
  with refusals.refused('task.objective.perturbation', 'ods or conf_ods'):
    _views(predict=lambda images: _predict(tf.round(images)))
