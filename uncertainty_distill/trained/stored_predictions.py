"""Stored predictions as a teacher: `.npz` files of any trained ensemble.

A file holds, in the order of the dataset's examples,

  train_logits or train_probs   floats [M, N, K], or [N, K] of one member
  train_labels                  integers [N]; they show that the order is right
  test_logits or test_probs     the same of the test examples; need not be there
  test_labels                   likewise

N counts the whole training set, before `task.train_data.num_examples` and what
is held out; with `task.train_data.classes` it is the examples of these classes,
whose labels are numbered anew. The members of several files are stacked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives, files
from uncertainty_distill.trained import logits_cache

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)

# More than rounding to float16 adds to a sum of probabilities.
_TOLERANCE = 1e-3


class StoredPredictions:
  """What a teacher said of the training examples as they are.

  It is used as a `LogitsCache` is, but every view of it is the same.
  """

  def __init__(self, logits: np.ndarray):
    """Takes logits [M, N, K] of the examples in the dataset's order."""
    self._stored = logits_cache.as_stored(tf.constant(logits))

  @property
  def ensemble_size(self) -> int:
    """The teacher's members M."""
    return self._stored.shape[1]

  def read(self, view: tf.Tensor) -> tf.Tensor:
    """Returns float16 [N, M, K], whatever the view's number."""
    del view
    return self._stored


# What spares the steps of training the teacher's network.
StoredLogits = logits_cache.LogitsCache | StoredPredictions


def are_predictions(paths: Sequence[str], argument: str) -> bool:
  """Tells whether a teacher is stored predictions, not models.

  Args:
    paths: The teacher's files or folders.
    argument: The flag that they come from, for the message of an error.

  Raises:
    InputError: If some are, and some are not.
  """
  stored = [is_predictions(path) for path in paths]
  if any(stored) and not all(stored):
    raise InputError(
      argument,
      paths[stored.index(False)],
      'stored predictions (.npz), as the others are, or models alone',
    )
  return any(stored)


def is_predictions(path: str) -> bool:
  """Tells whether a path is of a file of stored predictions."""
  # A run folder may have any name.
  return path.endswith('.npz') and not files.is_folder(path)


def load_predictions(
  paths: Sequence[str],
  argument: str,
  split: str,
  labels: np.ndarray,
  num_classes: int,
) -> np.ndarray | None:
  """Reads what a teacher said of one split of a dataset.

  Args:
    paths: `.npz` files, whose members are stacked.
    argument: The flag that they come from, for the message of an error.
    split: `train`, which must be there, or `test`.
    labels: Of all examples of the split, [N].
    num_classes: K.

  Returns:
    Logits, float32 [M, N, K]; None where a file has none of the test examples.

  Raises:
    InputError: If a file is not as described above, or is of another dataset.
  """
  members = []
  for path in paths:
    arrays = _read(path, argument)
    given = [
      name for name in (f'{split}_logits', f'{split}_probs') if name in arrays
    ]
    if not given and split == 'test':
      return None
    if len(given) != 1:
      raise InputError(
        argument,
        path,
        f'a file with either {split}_logits or {split}_probs',
        f'it has {", ".join(arrays) or "nothing"}',
      )
    name, are_probs = given[0], given[0].endswith('_probs')
    values = _members(
      arrays[name], f'{name} of {path}', (len(labels), num_classes)
    )
    if are_probs:
      _check_probs(values, f'{name} of {path}', 'name logits so')
    _check_labels(arrays, path, split, labels, values)
    values = values.astype(np.float32)
    # As `ServedModel` has it, which keeps every divergence finite.
    members.append(np.log(values + 1e-30) if are_probs else values)
  return np.concatenate(members)


def probs_as_logits(
  probs: np.ndarray, name: str, num_examples: int, num_classes: int
) -> np.ndarray:
  """Returns probabilities as logits.

  Args:
    probs: Floats [M, N, K], or [N, K] of one member.
    name: What they were given as, for the message of an error.
    num_examples: N.
    num_classes: K.

  Returns:
    Log-probabilities, float32 [M, N, K], all of them finite.

  Raises:
    InputError: If they are of another shape, or no probabilities.
  """
  members = _members(probs, name, (num_examples, num_classes))
  _check_probs(members, name, '')
  # As `ServedModel` has it, which keeps every divergence finite.
  return np.log(members.astype(np.float32) + 1e-30)


def _read(path: str, argument: str) -> dict[str, np.ndarray]:
  """Returns the arrays of a file."""
  try:
    return archives.read_arrays(path)
  except (OSError, ValueError) as error:
    raise InputError(
      argument,
      path,
      'an .npz file of stored predictions',
      f'write it by numpy.savez ({archives.why(error)})',
    ) from error


def _members(
  values: np.ndarray, name: str, shape: tuple[int, int]
) -> np.ndarray:
  """Returns finite values as [M, N, K], or raises an InputError."""
  wants = f'floats [M, {shape[0]}, {shape[1]}], or of one member {list(shape)}'
  whole = values[None] if values.ndim == 2 else values
  if (
    not np.issubdtype(values.dtype, np.floating)
    or whole.ndim != 3
    or whole.shape[1:] != shape
    or not len(whole)
  ):
    swapped = whole.ndim == 3 and whole.shape[::2] == shape
    raise InputError(
      name,
      f'{values.dtype} {list(values.shape)}',
      wants,
      'swap its first two axes' if swapped else '',
    )
  broken = np.argwhere(~np.isfinite(whole))
  if len(broken):
    member, example, _ = broken[0]
    raise InputError(
      name,
      f'{len(broken)} values that are infinite or NaN',
      'finite numbers',
      f'the first is of member {member} and example {example}',
    )
  return whole


def _check_probs(values: np.ndarray, name: str, todo: str) -> None:
  """Raises an InputError unless [M, N, K] are probabilities."""
  error = abs(values.sum(-1, dtype=np.float64) - 1).max()
  if values.min() < 0 or error > _TOLERANCE:
    raise InputError(
      name,
      f'values from {values.min():.3g}, whose sums over the classes '
      f'differ from 1 by up to {error:.3g}',
      f'probabilities, whose sums differ by at most {_TOLERANCE}',
      todo,
    )


def _check_labels(
  arrays: Mapping[str, np.ndarray],
  path: str,
  split: str,
  labels: np.ndarray,
  values: np.ndarray,
) -> None:
  """Raises an InputError if the examples are in another order.

  Without labels in the file it is only said how far its predictions [M, N, K]
  agree with the dataset's.
  """
  name = f'{split}_labels'
  if name not in arrays:
    agree = np.mean(values.mean(0).argmax(-1) == labels)
    _logger.warning(
      f'{path}: without {name}, nothing shows that it is in the order of the '
      f'dataset; it agrees with {agree:.1%} of the labels'
    )
    return
  given = arrays[name]
  if given.shape != labels.shape or not np.issubdtype(given.dtype, np.integer):
    raise InputError(
      f'{name} of {path}',
      f'{given.dtype} {list(given.shape)}',
      f'integers [{len(labels)}]',
    )
  differing = int((given != labels).sum())
  if differing:
    raise InputError(
      f'{name} of {path}',
      f"labels of which {differing} of {len(labels)} are not the dataset's",
      "those of the dataset's examples in its order",
    )
