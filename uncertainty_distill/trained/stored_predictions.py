"""Reads stored predictions: `.npz` files of any trained ensemble.

A file holds, in the order of the dataset's examples,

  train_logits or train_probs   floats [M, N, K], or [N, K] of one member
  train_labels                  integers [N], which show that the order is right
  test_logits or test_probs     the same for the test examples; optional
  test_labels                   integers, the labels of the test examples

N counts the whole training set, including held-out examples and those that
`task.train_data.num_examples` leaves out. With `task.train_data.classes`, N
counts the examples of these classes, whose labels are renumbered.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence

from uncertainty_distill import data, metrics
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives, files
from uncertainty_distill.trained import fingerprints

import numpy as np

_logger = logging.getLogger(__name__)

# More than rounding to float16 changes a sum of probabilities.
_TOLERANCE = 1e-3


def is_predictions(path: str) -> bool:
  """Returns whether a path is that of a file of stored predictions."""
  # A run folder may have any name.
  return path.endswith('.npz') and not files.is_folder(path)


def read_predictions(
  paths: Sequence[str],
  name: str,
  split: str,
  labels: np.ndarray,
  num_classes: int,
) -> np.ndarray | None:
  """Reads predictions of one split of a dataset.

  Args:
    paths: `.npz` files, whose members are stacked.
    name: The parameter that gave the paths, for error messages.
    split: `train`, which every file must have, or `test`.
    labels: The labels of all examples of the split, [N].
    num_classes: K.

  Returns:
    Logits, float32 [M, N, K]; None if a file has none of the test examples.

  Raises:
    InputError: If a file is not as described above, or is of another dataset.
  """
  members = []
  for path in paths:
    arrays = _read(path, name)
    given = [
      key for key in (f'{split}_logits', f'{split}_probs') if key in arrays
    ]
    if not given and split == 'test':
      return None
    if len(given) != 1:
      raise InputError(
        name,
        path,
        f'a file with either {split}_logits or {split}_probs',
        f'it has {", ".join(arrays) or "nothing"}',
      )
    (key,) = given
    array_name = f'{key} of {path}'
    values = _as_members(arrays[key], array_name, (len(labels), num_classes))
    if key.endswith('_probs'):
      _check_probs(values, array_name, f'store logits as {split}_logits')
    _check_labels(arrays, path, split, labels, values)
    values = values.astype(np.float32)
    members.append(
      metrics.finite_log(values) if key.endswith('_probs') else values
    )
  return np.concatenate(members)


def count_members(paths: Sequence[str], name: str) -> int:
  """Returns the number of members with predictions of the training examples.

  Args:
    paths: `.npz` files, whose members are stacked.
    name: The parameter that gave the paths, for error messages.

  Raises:
    InputError: If a file cannot be read.
  """
  count = 0
  for path in paths:
    arrays = _read(path, name)
    given = arrays.get('train_logits', arrays.get('train_probs', np.zeros(0)))
    count += len(given) if given.ndim == 3 else 1
  return count


def probs_as_logits(
  probs: np.ndarray, name: str, num_examples: int, num_classes: int
) -> np.ndarray:
  """Returns probabilities as logits.

  Args:
    probs: Floats [M, N, K], or [N, K] of one member.
    name: The parameter that gave the probabilities, for error messages.
    num_examples: N.
    num_classes: K.

  Returns:
    Log-probabilities, float32 or float64 [M, N, K], all of them finite.

  Raises:
    InputError: If the array has another shape, or holds no probabilities.
  """
  members = _as_members(probs, name, (num_examples, num_classes))
  _check_probs(members, name)
  return metrics.finite_log(members.astype(np.result_type(members, np.float32)))  # pyright: ignore[reportReturnType]


def _read(path: str, name: str) -> dict[str, np.ndarray]:
  """Returns the arrays of a file."""
  with _explained(path, name):
    return archives.read_arrays(path)


def digest(path: str, name: str) -> str:
  """Returns the SHA-256 of a file's arrays.

  Args:
    path: The file.
    name: The parameter that gave the path, for error messages.

  Raises:
    InputError: If the file cannot be read.
  """
  with _explained(path, name):
    return fingerprints.archive_digest(path)


@contextlib.contextmanager
def _explained(path: str, name: str) -> Iterator[None]:
  """Raises an InputError if reading a file within fails."""
  try:
    yield
  except (OSError, ValueError) as error:
    raise InputError(
      name,
      path,
      'an .npz file of stored predictions',
      f'write it with numpy.savez ({archives.reason(error)})',
    ) from error


def _as_members(
  values: np.ndarray, name: str, shape: tuple[int, int]
) -> np.ndarray:
  """Returns finite values as [M, N, K], or raises an InputError."""
  whole = values[None] if values.ndim == 2 else values
  if (
    not np.issubdtype(values.dtype, np.floating)
    or whole.ndim != 3
    or whole.shape[1:] != shape
    or not len(whole)
  ):
    hint = ''
    if values.ndim == 3 and values.shape[::2] == shape:
      hint = 'swap its first two axes'
    elif values.dtype.kind in 'iubVO':  # NumPy stores bfloat16 as V.
      hint = 'store them as float32'
    elif values.ndim == 2 and values.shape[1] == shape[1]:
      hint = f'there are {len(values)} rows for {shape[0]} examples'
    raise InputError(
      name,
      f'{values.dtype} {list(values.shape)}',
      f'floats [M, {shape[0]}, {shape[1]}], or {list(shape)} for one member',
      hint,
    )
  broken = np.argwhere(~np.isfinite(whole))
  if len(broken):
    member, example, _ = broken[0]
    raise InputError(
      name,
      f'{len(broken)} non-finite values (inf or NaN)',
      'finite',
      f'the first one is of member {member} and example {example}',
    )
  return whole


def _check_probs(
  values: np.ndarray, name: str, hint: str = 'apply softmax first'
) -> None:
  """Raises an InputError unless values [M, N, K] are probabilities."""
  expected = f'probabilities, whose sums differ from 1 by at most {_TOLERANCE}'
  sums = values.sum(-1, dtype=np.float64)
  error = abs(sums - 1).max()
  if values.min() < 0:
    member, example, label = np.argwhere(values < 0)[0]
    value = float(values[member, example, label])
    where = f'{value:.4g} (member {member}, example {example}, class {label})'
    if error <= _TOLERANCE:
      hint = 'it is below 0, though the sums are right'
    elif values.max() > 1 or error > 1:
      hint = f'these look like logits: {hint}'
    raise InputError(name, where, 'probabilities, from 0 to 1', hint)
  if error > _TOLERANCE:
    raise InputError(
      name, f'sums that differ from 1 by up to {error:.3g}', expected, hint
    )


def _check_labels(
  arrays: Mapping[str, np.ndarray],
  path: str,
  split: str,
  labels: np.ndarray,
  values: np.ndarray,
) -> None:
  """Raises an InputError if the examples are in another order.

  Without labels in the file, a warning says how far its predictions [M, N, K]
  agree with the labels of the dataset.
  """
  name = f'{split}_labels'
  if name not in arrays:
    agree = np.mean(values.mean(0).argmax(-1) == labels)
    _logger.warning(
      f'{path} has no {name} to show that it is in the order of the dataset; '
      f'its predictions agree with {agree:.1%} of the labels'
    )
    return
  given = arrays[name]
  data.check_labels(given, f'{name} of {path}', len(labels))
  differing = int((given != labels).sum())
  if differing:
    raise InputError(
      f'{name} of {path}',
      f'{differing} other labels',
      f'the {len(labels)} labels of the dataset in the same order',
    )
