"""Tests of the Wide ResNet: its size, and its formula step by step."""

from uncertainty_distill import models

import numpy as np
import pytest
import tensorflow as tf
import tiny_networks
from refusals import refused


def _model(depth=10, width=1, **kwargs):
  return tiny_networks.build(
    **{
      'image_shape': (8, 8, 3),
      'num_classes': 10,
      'depth': depth,
      'width': width,
      'mean': (0.5,) * 3,
      'stddev': (0.25,) * 3,
      **kwargs,
    }
  )


def _count(variables):
  return sum(int(np.prod(variable.shape)) for variable in variables)


def _convolutions(depth, width):
  """Returns each convolution's (kernel size, input and output channels)."""
  found, channels = [(3, 3, 16)], 16
  for base in 16, 32, 64:
    for _ in range((depth - 4) // 6):
      found += [(3, channels, base * width), (3, base * width, base * width)]
      if channels != base * width:
        found.append((1, channels, base * width))
      channels = base * width
  return found


def _parameters(depth, width, members, rank, classes):
  """Returns the numbers of trainable and of other parameters."""
  convolutions = _convolutions(depth, width)
  kernels = sum(k * k * i * o for k, i, o in convolutions)
  # Each 3x3 convolution but the stem is preceded by a BatchNorm of its inputs,
  # and the last one is followed by another.
  normed = sum(i for k, i, _ in convolutions[1:] if k == 3) + 64 * width
  dense = 64 * width * classes
  total = kernels + 2 * normed + dense + members * classes
  if members > 1:
    vectors = sum(i + o for _, i, o in convolutions) + 64 * width + classes
    total += members * rank * vectors
  return total, 2 * normed


@pytest.mark.parametrize(
  'depth, width, members, rank, classes',
  [(10, 1, 1, 1, 10), (10, 1, 4, 1, 10), (22, 3, 3, 2, 7)],
)
def test_number_of_parameters(depth, width, members, rank, classes):
  model = _model(
    depth, width, ensemble_size=members, rank=rank, num_classes=classes
  )
  counts = (
    _count(model.trainable_variables),
    _count(model.non_trainable_variables),
  )
  assert counts == _parameters(depth, width, members, rank, classes)


@pytest.mark.parametrize(
  'members, exact, published', [(1, 36_479_194, 36.5), (4, 36_557_548, 36.6)]
)
def test_wide_resnet_28_10_has_the_published_size(members, exact, published):
  model = _model(28, 10, image_shape=(32, 32, 3), ensemble_size=members)
  count = _count(model.trainable_variables)
  assert count == exact == _parameters(28, 10, members, 1, 10)[0]
  assert round(count / 1e6, 1) == published
  # There are 28 convolutions, with those of the shortcuts, and a dense layer.
  assert len([x for x in model.layers if hasattr(x, 'kernel')]) == 28 + 1


@pytest.mark.parametrize('depth', [-2, 4, 9, 11, 12, 27])
def test_refuses_a_depth_that_makes_no_blocks(depth):
  with refused('depth', depth):
    models.WideResNet(depth=depth).build((8, 8, 3), 10)


def _norm_relu(layer, x):
  """Applies a BatchNorm layer with its moving statistics, and then a ReLU."""
  scaled = (x - layer.moving_mean) / tf.sqrt(layer.moving_variance + 1e-5)
  return tf.nn.relu(scaled * layer.gamma + layer.beta)


def _reference_logits(model, images, mean, stddev):
  """Applies WRN-16 with TensorFlow's functions; strides are 1, 2, 2."""
  get = model.get_layer

  def conv(x, name, strides):
    return tf.nn.conv2d(x, get(name).kernel, strides, 'SAME')

  x = conv((images / 255 - mean) / stddev, 'stem', 1)
  for group in range(3):
    for block in range(2):
      name = f'group{group}_block{block}'
      strides = 2 if group and not block else 1
      y = conv(_norm_relu(get(f'{name}_a_norm'), x), f'{name}_a_conv', strides)
      y = conv(_norm_relu(get(f'{name}_b_norm'), y), f'{name}_b_conv', 1)
      # The shortcut starts before the block's first activation.
      x = y + (x if block else conv(x, f'{name}_shortcut', strides))
  x = tf.reduce_mean(_norm_relu(get('final_norm'), x), [1, 2])
  return x @ get('logits').kernel + get('logits').bias


def test_single_network_is_its_formula():
  mean = np.array([0.3, 0.5, 0.7], np.float32)
  stddev = np.array([0.2, 0.25, 0.3], np.float32)
  model = _model(16, 2, mean=mean.tolist(), stddev=stddev.tolist())
  generator = np.random.default_rng(0)
  for variable in model.variables:
    # The values are of moderate size, and variances are positive.
    noise = generator.uniform(0.5, 1.5, variable.shape)
    signs = generator.choice([-1, 1], variable.shape)
    if 'variance' not in variable.name:
      noise *= signs / np.sqrt(max(1, np.prod(variable.shape[:-1])))
    variable.assign(noise)
  images = generator.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
  want = _reference_logits(model, images.astype(np.float32), mean, stddev)
  logits = model(images, training=False)
  assert logits.shape == (1, 3, 10) and np.ptp(want, axis=0).min() > 0.01
  np.testing.assert_allclose(logits[0], want, rtol=1e-4, atol=1e-4)
