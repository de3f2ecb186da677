"""Repeats a batch for the members, and gives the members an axis.

Only this module does this. BatchEnsemble layers read the batch member by
member: rows 0..B-1 belong to the first member, rows B..2B-1 to the second, and
so on. Within `only(e)` the layers compute only member e, from a batch that is
not repeated. Within `own_examples()` the batch is already in this order, since
each member has its own examples.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

# Each thread has its own value, since replicas are traced in parallel threads.
_MEMBER: contextvars.ContextVar[int | None] = contextvars.ContextVar(
  'member', default=None
)


_OWN_EXAMPLES: contextvars.ContextVar[bool] = contextvars.ContextVar(
  'own_examples', default=False
)


@contextlib.contextmanager
def own_examples() -> Iterator[None]:
  """Makes models take the rows of all members, [E * b, ...], as their batch."""
  token = _OWN_EXAMPLES.set(True)
  try:
    yield
  finally:
    _OWN_EXAMPLES.reset(token)


@contextlib.contextmanager
def only(member: int) -> Iterator[None]:
  """Makes this package's layers compute only one member, counted from 0."""
  token = _MEMBER.set(member)
  try:
    yield
  finally:
    _MEMBER.reset(token)


def only_member() -> int | None:
  """Returns the only member to compute; None for all members."""
  return _MEMBER.get()


def tile_members(images: tf.Tensor, ensemble_size: int) -> tf.Tensor:
  """Repeats a batch for each member.

  Args:
    images: The batch, [B, ...].
    ensemble_size: The number of members E.

  Returns:
    [E * B, ...], member-major.
  """
  # Not tf.tile, which TensorFlow Lite's converter drops before a product.
  return tf.concat([images] * ensemble_size, 0)


def member_rows(
  batch_size: int, ensemble_size: int, members_per_example: int
) -> np.ndarray:
  """Returns which examples of a batch each member sees.

  The batch is E groups of B / E examples, one after the other. Member e sees
  the groups e, e + 1, ... e + m - 1 modulo E. So m members see each example,
  and each member sees b = m B / E examples.

  Args:
    batch_size: The number of examples B, a multiple of E.
    ensemble_size: The number of members E.
    members_per_example: The number of members m that see each example, from 1
      to E.

  Returns:
    Row numbers, int32 [E, b].
  """
  groups = np.arange(batch_size, dtype=np.int32).reshape([ensemble_size, -1])
  first = np.arange(ensemble_size)
  chosen = np.add.outer(first, first[:members_per_example]) % ensemble_size
  return groups[chosen].reshape([ensemble_size, -1])


def split_members(rows: tf.Tensor, ensemble_size: int) -> tf.Tensor:
  """Gives the members an axis: [E * B, ...] -> [E, B, ...]."""
  return tf.reshape(rows, [ensemble_size, -1, *_inner(rows, 1)])


def join_members(values: tf.Tensor) -> tf.Tensor:
  """Undoes `split_members`: [E, B, ...] -> [E * B, ...]."""
  return tf.reshape(values, [-1, *_inner(values, 2)])


def _inner(values, first):
  """Returns the sizes of the axes from `first` on, as integers if known."""
  known = values.shape[first:]
  if known.is_fully_defined():
    return list(known)
  return tf.unstack(tf.shape(values)[first:], len(known))


class _MembersLayer(tf_keras.layers.Layer):
  """A layer of a functional model that changes the rows of the batch.

  Attributes:
    ensemble_size: The number of members E, or 1 within `only`.
  """

  def __init__(self, ensemble_size: int, **kwargs: Any):
    super().__init__(**kwargs)
    self._ensemble_size = ensemble_size

  @property
  def ensemble_size(self) -> int:
    return self._ensemble_size if only_member() is None else 1

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'ensemble_size': self._ensemble_size}


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class TileMembers(_MembersLayer):
  """`tile_members` as a layer.

  Within `only` and `own_examples` it returns its input.
  """

  def __init__(self, ensemble_size: int, **kwargs: Any):
    # Images are not cast: bfloat16 cannot hold a fraction of a gray level.
    super().__init__(ensemble_size, **{**kwargs, 'autocast': False})

  def call(self, images: tf.Tensor) -> tf.Tensor:
    if _OWN_EXAMPLES.get():
      return tf.identity(images)
    return tile_members(images, self.ensemble_size)


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class SplitMembers(_MembersLayer):
  """`split_members` as a layer that returns float32.

  Softmax, losses and metrics need float32 even if the network computes in
  bfloat16. Within `only` the layer returns [1, B, K].
  """

  def __init__(self, ensemble_size: int, **kwargs: Any):
    super().__init__(ensemble_size, **{**kwargs, 'dtype': 'float32'})

  def call(self, logits: tf.Tensor) -> tf.Tensor:
    return split_members(logits, self.ensemble_size)


@tf_keras.utils.register_keras_serializable('uncertainty_distill')
class SplitHeads(tf_keras.layers.Layer):
  """Gives the heads of one body an axis: [B, E * K] -> float32 [E, B, K]."""

  def __init__(self, ensemble_size: int, **kwargs: Any):
    super().__init__(**{**kwargs, 'dtype': 'float32'})
    self._ensemble_size = ensemble_size

  def call(self, logits: tf.Tensor) -> tf.Tensor:
    classes = logits.shape[-1] // self._ensemble_size  # pyright: ignore[reportOptionalOperand]
    heads = tf.reshape(logits, [-1, self._ensemble_size, classes])
    return tf.transpose(heads, [1, 0, 2])

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'ensemble_size': self._ensemble_size}
