"""SavedModels as another program might write them."""

from uncertainty_distill import trained

import numpy as np
import tensorflow as tf

SIZES = (None, None, None, 3)
CLASSES = 4


def images_of(count=5, size=6):
  """Returns random images uint8 [count, size, size, 3]."""
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


class Linear(tf.Module):
  """Members that see only the mean color of an image."""

  def __init__(self, members=1):
    super().__init__()
    generator = np.random.default_rng(1)
    self._weights = generator.normal(size=(members, 3, CLASSES)) / 50
    self.variable = tf.Variable(self._weights, dtype=tf.float32)

  def logits(self, images):
    """Returns logits [B, E, K]."""
    colors = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
    return tf.einsum('bc,eck->bek', colors, self.variable)

  def expected(self, images):
    """Returns logits [E, B, K], by NumPy."""
    return images.mean((1, 2)) @ self._weights


def save(path, module, function, shape=SIZES, dtype=tf.uint8):
  """Writes a SavedModel of a function of images."""
  module.function = tf.function(
    function, [tf.TensorSpec(shape, dtype, name='pixels')]
  )
  tf.saved_model.save(
    module, str(path), signatures={'serving_default': module.function}
  )
  return str(path)


def sample():
  """Returns images for finding out what an output is."""
  return images_of(30)


def load(path, images=sample, num_classes=CLASSES):
  """Opens a SavedModel as a teacher."""
  opened = trained.open_trained([path], 'teacher')
  opened.check_fits((6, 6, 3), num_classes, images)
  return opened
