"""Tests of mixup: the pairs and weights of a view, and the mixed images."""

from uncertainty_distill import data
from uncertainty_distill.data import mixup

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tiny_dataset

_VIEW = np.int64(0)
_OPTIONS = {'seed': 3, 'padding': 1, 'flip': True}


def test_a_mixed_image_by_hand():
  images = tf.constant([[[[200, 0, 7]]], [[[1, 2, 3]]]], tf.uint8)
  partners = tf.constant([[[[100, 255, 7]]], [[[9, 9, 9]]]], tf.uint8)
  mixed = mixup.mix(images, partners, tf.constant([0.75, 1.0]))
  assert mixed.dtype == tf.uint8
  # 255 / 4 is 63.75.
  np.testing.assert_array_equal(mixed, [[[[175, 64, 7]]], [[[1, 2, 3]]]])


@pytest.mark.parametrize('concentration', [1e-3, 0.4, 1.0])
def test_weights_are_the_larger_part_of_a_beta(concentration):
  partners, weights = mixup.draw_pairs(4000, 3, _VIEW, concentration)
  assert sorted(partners.numpy()) == list(range(4000))
  assert weights.numpy().min() >= 0.5 and weights.numpy().max() <= 1
  # The median of max(w, 1 - w) is the quantile 3/4 of a symmetric w.
  median = scipy.stats.beta(concentration, concentration).ppf(0.75)
  np.testing.assert_allclose(np.median(weights), median, atol=0.02)
  others = mixup.draw_pairs(4000, 3, _VIEW + 1, concentration)
  assert (others[0].numpy() != partners.numpy()).any()


def test_images_are_mixed_as_augmented_ones_of_their_view():
  source = tiny_dataset.numbered(12, size=8)
  partners, weights = mixup.draw_pairs(12, 3, _VIEW, 0.4)

  def view(**options):
    views = data.Views(source, **_OPTIONS, **options)
    (batch,) = data.view_batches(views, [0], 12)
    return batch['images']

  plain = view()
  expected = mixup.mix(plain, tf.gather(plain, partners), weights)
  np.testing.assert_array_equal(view(mixup=0.4), expected)
  assert (expected.numpy() != plain.numpy()).any()


def test_training_and_a_resumed_run_see_the_mixed_views():
  source = tiny_dataset.numbered(12, size=8)
  jitter = data.Distortion(color_jitter=0.3)
  mixed = data.Views(source, **_OPTIONS, mixup=0.4, distortion=jitter)
  views = [
    dict(zip(batch['labels'].numpy(), batch['images'].numpy()))
    for batch in data.view_batches(mixed, [0, 1], 12)
  ]
  batches = list(data.training_batches(mixed, 4, seed=3).take(6))
  resumed = data.training_batches(mixed, 4, seed=3, start_step=3).take(3)
  assert batches[0].keys() == {'images', 'labels'}
  for batch, again in zip(batches[3:], resumed, strict=True):
    np.testing.assert_array_equal(batch['images'], again['images'])
  for step, batch in enumerate(batches):
    for label, image in zip(batch['labels'].numpy(), batch['images'].numpy()):
      np.testing.assert_array_equal(image, views[step // 3][label])
