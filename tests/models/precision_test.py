"""Tests of what stays in float32 if a network computes in bfloat16."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_networks

_IMAGES = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


@pytest.fixture(autouse=True)
def fixture_mixed_precision():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  yield
  tf_keras.mixed_precision.set_global_policy('float32')


def _model(**options):
  return tiny_networks.build(
    image_shape=(16, 16, 3),
    num_classes=5,
    depth=10,
    width=1,
    mean=(0.5,),
    stddev=(0.25,),
    ensemble_size=2,
    **options,
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


@pytest.mark.parametrize('synchronized', [False, True])
def test_statistics_of_batch_norm_are_float32(synchronized):
  model = _model(sync_batch_norm=synchronized, batch_norm_momentum=0.0)
  norm = model.get_layer('group0_block0_a_norm')
  rows = tf_keras.Model(model.input, norm.input)(_IMAGES)
  assert rows.dtype == tf.bfloat16
  model(_IMAGES, training=True)
  # bfloat16 would round a mean by up to 1/512 of it.
  values = np.float64(tf.cast(rows, tf.float32))
  np.testing.assert_allclose(
    norm.moving_mean, values.mean((0, 1, 2)), atol=1e-5
  )
  np.testing.assert_allclose(
    norm.moving_variance, values.var((0, 1, 2)), rtol=1e-3
  )
