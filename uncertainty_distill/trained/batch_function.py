"""Applies a model to many images, in batches of one shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from uncertainty_distill import data

import numpy as np
import tensorflow as tf


class BatchFunction:
  """A function of a batch of images, compiled once, for any number of them.

    predict = BatchFunction(lambda images: tf.nn.softmax(model(images)), axis=1)
    probs = predict(images)  # [E, N, K] from uint8 [N, H, W, C]

  Attributes:
    step: Computes one batch of all replicas, from tensors or distributed values
      to tensors.
  """

  def __init__(
    self,
    function: Callable[[Any], Any],
    batch_size: int = 128,
    strategy: tf.distribute.Strategy | None = None,
    axis: int = 0,
  ):
    """Compiles nothing yet: the shape of the first batch is still unknown.

    Args:
      function: From one replica's images [b, H, W, C] to a tensor, or a nest of
        tensors, in which `axis` counts the images.
      batch_size: Images in a batch of all replicas, which divide it.
      strategy: The devices; None for the default one.
      axis: See `function`.
    """
    self._batch_size = batch_size
    self._strategy = strategy
    self._axis = axis
    # TensorFlow warns of one Python function that is often traced, as for each
    # of many models; a partial one is another one each time.
    self.step = tf.function(
      functools.partial(_step, function, strategy, axis),
      autograph=False,
      reduce_retracing=True,
    )

  def __call__(self, images: np.ndarray | data.ImageSource) -> Any:
    """Returns what the function returns for all images, as NumPy arrays.

    Args:
      images: [N, H, W, C], perhaps of a source, which is read batch by batch.
        The last of several batches is filled up, so that it is not compiled
        anew; so is a single one if replicas share it.
    """
    is_source = isinstance(images, data.ImageSource)
    read = images.numpy if is_source else images.__getitem__
    count, size = len(images), self._batch_size
    if self._strategy is None:
      size = min(size, max(count, 1))
    parts = []
    # Without any image there is one batch, too, for the shapes of the outputs.
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
  """Returns the outputs for a batch, those of the replicas in order."""
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
