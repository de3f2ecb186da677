"""Tests of how a network's FLOPs are counted."""

from uncertainty_distill import models

import pytest
import tf_keras


def test_each_kind_of_layer_by_hand():
  keras = tf_keras.layers
  images = tf_keras.Input((8, 8, 3))
  x = keras.Conv2D(4, 3, padding='same')(images)
  x = keras.Conv2D(6, 1, groups=2)(x)
  x = keras.DepthwiseConv2D(3, strides=2, padding='same')(x)
  x = keras.SeparableConv2D(5, 3, depth_multiplier=2)(x)
  shared = keras.Dense(5)
  x = shared(shared(x))
  inner = tf_keras.Input((2, 2, 5))
  nested = tf_keras.Model(inner, keras.Dense(7)(keras.Flatten()(inner)))
  model = tf_keras.Model(images, keras.Add()([nested(x), nested(-x)]))
  products = (
    64 * 9 * 3 * 4
    + 64 * 2 * (2 * 3)
    + 16 * 9 * 6
    + 4 * (9 * 12 + 12 * 5)
    + 2 * 4 * 5 * 5
    + 2 * 20 * 7
  )
  assert models.forward_flops(model) == 2 * products


def test_attention_and_transposed_convolutions_by_hand():
  keras = tf_keras.layers
  images = tf_keras.Input((4, 4, 6))
  x = keras.Conv2DTranspose(5, 3, strides=2, padding='same')(images)
  x = keras.Reshape((64, 5))(x)
  x = keras.MultiHeadAttention(num_heads=2, key_dim=3)(x, x)
  model = tf_keras.Model(images, keras.EinsumDense('...x,xy->...y', 7)(x))
  products = (
    16 * 6 * 9 * 5
    # Queries, keys, values and the output; then scores and what they weigh.
    + 4 * 64 * 5 * (2 * 3)
    + 2 * 2 * 64 * 64 * 3
    + 64 * 5 * 7
  )
  assert models.forward_flops(model) == 2 * products


def test_published_figure():
  # 300 million multiplications (Sandler et al., 2018, Table 4).
  model = tf_keras.applications.MobileNetV2(weights=None)
  assert models.forward_flops(model) == pytest.approx(2 * 300e6, rel=0.01)
