"""Applies a model to many images, in batches of one shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from uncertainty_distill import data

import numpy as np
import tensorflow as tf


class BatchFunction:
  """A function of a batch of images that is applied to any number of images.

  It is compiled once.

    predict = BatchFunction(lambda images: tf.nn.softmax(model(images)), axis=1)
    probs = predict(images)  # [E, N, K] from uint8 [N, H, W, C]

  Attributes:
    step: The compiled function of one batch of all replicas, from tensors or
      distributed values to tensors.
  """

  def __init__(
    self,
    function: Callable[[Any], Any],
    batch_size: int = 128,
    strategy: tf.distribute.Strategy | None = None,
    axis: int = 0,
  ):
    """Compiles nothing yet, since the shape of the first batch is unknown.

    Args:
      function: A function from one replica's images [b, H, W, C] to a tensor or
        a nest of tensors.
      batch_size: Images in a batch over all replicas; a multiple of the number
        of replicas.
      strategy: The devices; None for the default device.
      axis: The axis of the images in the function's outputs.
    """
    self._batch_size = batch_size
    self._strategy = strategy
    self._axis = axis
    # TensorFlow warns if one Python function is traced often, such as once for
    # each of many models. Each partial function is a new one.
    self.step = tf.function(
      functools.partial(_step, function, strategy, axis),
      autograph=False,
      reduce_retracing=True,
    )

  def __call__(self, images: np.ndarray | data.ImageSource) -> Any:
    """Returns the function's outputs for all images, as NumPy arrays.

    Args:
      images: The images [N, H, W, C], or a source of them, which is read batch
        by batch. The last of several batches is filled up, so that nothing is
        compiled again. A single batch is filled up only if there is a strategy.
    """
    is_source = isinstance(images, data.ImageSource)
    read = images.numpy if is_source else images.__getitem__
    count, size = len(images), self._batch_size
    if self._strategy is None:
      size = min(size, max(count, 1))
    parts = []
    # Without images there is still one batch, for the shapes of the outputs.
    for start in range(0, max(count, 1), size):
      batch = read(slice(start, start + size))
      batch = np.resize(batch, (size, *batch.shape[1:]))
      parts.append(self.step(self._placed(batch)))

    kept = (slice(None),) * self._axis + (slice(count),)

    def joined(*parts):
      return np.concatenate(parts, self._axis)[kept]

    return tf.nest.map_structure(joined, *parts)

  def _placed(self, batch):
    """Returns a batch, or its share on each replica."""
    if self._strategy is None:
      return tf.constant(batch)
    size = len(batch) // self._strategy.num_replicas_in_sync

    def share(context):
      first = context.replica_id_in_sync_group * size
      return tf.constant(batch[first : first + size])

    return self._strategy.experimental_distribute_values_from_function(share)


def _step(function, strategy, axis, batch):
  """Returns the outputs for a batch, with the replicas' outputs in order."""
  if strategy is None:
    return function(batch)

  def joined(value):
    return tf.concat(strategy.experimental_local_results(value), axis)

  return tf.nest.map_structure(joined, strategy.run(function, args=(batch,)))


def apply(
  function: Callable[[Any], Any],
  images: np.ndarray | data.ImageSource,
  batch_size: int = 128,
  strategy: tf.distribute.Strategy | None = None,
  axis: int = 0,
) -> Any:
  """Applies a function to images once; see `BatchFunction`."""
  return BatchFunction(function, batch_size, strategy, axis)(images)
