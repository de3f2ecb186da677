"""Tests of applying functions of a batch to many images."""

from uncertainty_distill import trained

import numpy as np
import pytest
import tensorflow as tf


def _images(count):
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, 2, 2, 3), dtype=np.uint8)


def _outputs(images):
  """Returns two numbers for each image: its mean, and twice its mean."""
  mean = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3])
  return {'mean': mean, 'double': 2 * mean}


@pytest.mark.parametrize('count', [0, 1, 7, 8, 20])
def test_every_image_has_its_own_outputs(count):
  images = _images(count)
  got = trained.apply(_outputs, images, batch_size=8)
  want = images.mean((1, 2, 3))
  assert got['mean'].shape == (count,)
  np.testing.assert_allclose(got['mean'], want, rtol=1e-5)
  np.testing.assert_allclose(got['double'], 2 * want, rtol=1e-5)


def test_images_may_be_on_another_axis():
  images = _images(20)

  def members(batch):
    mean = _outputs(batch)['mean']
    return tf.stack([mean, -mean])

  got = trained.apply(members, images, batch_size=8, axis=1)
  want = images.mean((1, 2, 3))
  np.testing.assert_allclose(got, [want, -want], rtol=1e-5)


def test_all_batches_of_one_call_are_compiled_once():
  function = trained.BatchFunction(_outputs, batch_size=8)
  function(_images(21))
  assert function.step.experimental_get_tracing_count() == 1
  # A second shape is compiled for any number of images, so there is no third.
  for count in 5, 3, 30, 1, 8:
    np.testing.assert_allclose(
      function(_images(count))['mean'],
      _images(count).mean((1, 2, 3)),
      rtol=1e-5,
    )
  assert function.step.experimental_get_tracing_count() == 2


@pytest.mark.parametrize('count', [1, 8, 21])
def test_replicas_share_each_batch(count, replicas):
  images = _images(count)
  sizes = []

  def outputs(batch):
    sizes.append(batch.shape[0])
    return _outputs(batch)

  got = trained.apply(outputs, images, 8, replicas)
  assert set(sizes) == {4}
  np.testing.assert_allclose(got['mean'], images.mean((1, 2, 3)), rtol=1e-5)
