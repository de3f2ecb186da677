"""Tests that a model whose weights are cast beforehand has the same logits."""

from uncertainty_distill import models

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_networks


@pytest.mark.parametrize('ensemble_size', [1, 4])
def test_logits_are_the_same_and_weights_smaller(ensemble_size):
  tf_keras.utils.set_random_seed(0)
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    model = tiny_networks.build(
      image_shape=(16, 16, 3),
      num_classes=5,
      depth=10,
      width=1,
      mean=(0.5,),
      stddev=(0.25,),
      ensemble_size=ensemble_size,
    )
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    model(images, training=True)  # Moves the means and variances.
    want = model(images, training=False).numpy()
    cast = models.cast_weights(model)
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  np.testing.assert_array_equal(cast(images, training=False), want)
  assert want.dtype == np.float32 and np.ptp(want) > 0.1
  for layer in cast.layers:
    norm = isinstance(layer, tf_keras.layers.BatchNormalization)
    sizes = {tf.as_dtype(v.dtype).size for v in layer.variables}
    assert sizes <= {4 if norm else 2}, layer.name
