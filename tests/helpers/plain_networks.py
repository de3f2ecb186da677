"""Plain Keras networks to be converted, and random weights for them."""

import numpy as np
import tensorflow as tf
import tf_keras


def nested():
  """Returns a network of nested networks that share layers, [16,16,4] -> [5].

  The convolution `shared` is used twice, and once more within `body`. The
  Sequential network `stem` is used twice, too.
  """
  keras = tf_keras.layers
  stem = tf_keras.Sequential(
    [
      tf_keras.Input((16, 16, 4)),
      keras.Conv2D(8, 3, groups=2, name='grouped'),
      keras.BatchNormalization(name='norm'),
      keras.Conv2D(16, 3, groups=8, activation='relu', name='of_channels'),
      keras.SeparableConv2D(8, 3, depth_multiplier=2, name='separable'),
    ],
    name='stem',
  )
  shared = keras.Conv2D(8, 3, padding='same', activation='relu', name='shared')
  inside = tf_keras.Input((10, 10, 8))
  x = shared(inside) + inside
  x = keras.DepthwiseConv2D(3, 2, padding='same', name='depthwise')(x)
  x = keras.SeparableConv2D(8, 1, strides=1, name='separable')(x) + x
  x = keras.LayerNormalization(name='layer_norm')(x)
  body = tf_keras.Model(inside, keras.Dense(8, name='dense')(x), name='body')
  images = tf_keras.Input((16, 16, 4))
  scaled = keras.Rescaling(1 / 128, -1, name='scaled')(images)
  one, two = stem(scaled), stem(-scaled)
  x = body(shared(one)) + body(shared(two))
  x = keras.Reshape([25, 8])(x)
  x = keras.Conv1D(6, 3, activation='relu', name='sequence')(x)
  x = keras.GlobalAveragePooling1D()(x)
  return tf_keras.Model(images, keras.Dense(5, name='logits')(x), name='whole')


def images(model, count=3):
  """Returns random images of 0..255 for a model."""
  generator = np.random.default_rng(0)
  shape = (count, *model.input_shape[1:])
  return tf.constant(generator.integers(0, 256, shape), tf.float32)


def randomize(model, seed=0):
  """Randomizes what starts as zeros or ones: norms, biases, alpha, gamma."""
  generator = np.random.default_rng(seed)
  for variable in model.variables:
    kind = variable.name.rpartition('/')[2].partition(':')[0]
    if kind in ('moving_variance', 'alpha', 'gamma'):
      variable.assign(generator.uniform(0.7, 1.3, variable.shape))
    elif kind in ('beta', 'bias', 'ensemble_bias', 'moving_mean'):
      variable.assign(generator.normal(0, 0.2, variable.shape))


def assert_same(found, wanted, tolerance=1e-5):
  """Asserts that logits agree up to rounding and are not all alike."""
  wanted = np.asarray(wanted)
  scale = np.abs(wanted - wanted.mean()).max()
  assert scale > 1e-3
  np.testing.assert_allclose(found / scale, wanted / scale, atol=tolerance)
