"""Tests of what stays in float32 if a network computes in bfloat16."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_networks


@pytest.fixture(autouse=True)
def fixture_mixed_precision():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  yield
  tf_keras.mixed_precision.set_global_policy('float32')


def _model():
  return tiny_networks.build(
    image_shape=(16, 16, 3),
    num_classes=5,
    depth=10,
    width=1,
    mean=(0.5,),
    stddev=(0.25,),
    ensemble_size=2,
  )


# On a CPU, 4 images go through all members at once, and 9 images through one
# member after the other.
@pytest.mark.parametrize('count', [4, 9])
def test_logits_and_weights_are_float32(count):
  tf_keras.utils.set_random_seed(0)
  model = _model()
  tf_keras.mixed_precision.set_global_policy('float32')
  exact = _model()
  exact.set_weights(model.get_weights())
  images = np.random.default_rng(0).integers(
    0, 256, (count, 16, 16, 3), dtype=np.uint8
  )
  logits, want = (m(images, training=False) for m in (model, exact))
  assert logits.dtype == tf.float32
  assert model.get_layer('final_norm').compute_dtype == 'bfloat16'
  assert {v.dtype for v in model.variables} == {tf.float32}
  error = np.abs(logits - want).max() / np.abs(want).max()
  assert 1e-5 < error < 0.05


def test_statistics_of_batch_norm_are_float32():
  norm = tf_keras.layers.BatchNormalization(momentum=0.0)
  # A sum in bfloat16 would stay at 256, since 257 is rounded to 256.
  rows = tf.ones([4, 100, 100, 3], tf.bfloat16)
  assert norm(rows, training=True).dtype == tf.bfloat16
  np.testing.assert_array_equal(norm.moving_mean, [1.0, 1.0, 1.0])
