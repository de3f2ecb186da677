"""What a teacher's stored logits depend on, byte by byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from uncertainty_distill import runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files
from uncertainty_distill.trained import loading

import numpy as np
import tensorflow as tf


def describe_teacher(
  paths: Sequence[str], argument: str
) -> list[dict[str, Any]]:
  """Says what a teacher is, without loading it into models.

  Args:
    paths: Run folders or SavedModels.
    argument: The flag that they come from, for the message of an error.

  Returns:
    For each path what JSON can hold: a run's network and the SHA-256 of its
    weights, or the SHA-256 of a SavedModel's files.

  Raises:
    InputError: If a folder holds no trained model.
  """
  parts = []
  for path in paths:
    if loading.is_saved_model(path):
      parts.append({'saved_model': _files_digest(path)})
    else:
      run = loading.open_trained(path, argument)
      network = run.config.task.model.as_dict()
      parts.append({'network': network, 'weights': _weights_digest(run)})
  return parts


def arrays_digest(*arrays: np.ndarray) -> str:
  """Returns the SHA-256 of arrays: of their types, shapes and bytes."""
  digest = hashlib.sha256()
  for array in arrays:
    digest.update(f'{array.dtype.str} {array.shape}\n'.encode())
    digest.update(np.ascontiguousarray(array))
  return digest.hexdigest()


def _weights_digest(run: runs.RunFolder) -> str:
  """Returns the SHA-256 of a run's weights and moving statistics."""
  digest = hashlib.sha256()
  try:
    reader = tf.train.load_checkpoint(run.checkpoint)
    for name in sorted(reader.get_variable_to_shape_map()):
      if name.startswith('model/') and '.OPTIMIZER_SLOT' not in name:
        weight = np.asarray(reader.get_tensor(name))
        digest.update(f'{name} {arrays_digest(weight)}\n'.encode())
  except (RuntimeError, ValueError, tf.errors.OpError) as error:
    raise InputError(
      'run folder',
      run.path,
      'a checkpoint that can be read',
      str(error).splitlines()[0][:200],
    ) from error
  return digest.hexdigest()


def _files_digest(path: str) -> str:
  """Returns the SHA-256 of all files in a folder, and of their names."""
  digest = hashlib.sha256()
  for relative in _files_below(path, ''):
    content = files.read_bytes(os.path.join(path, relative))
    content = np.frombuffer(content, np.uint8)
    digest.update(f'{relative} {arrays_digest(content)}\n'.encode())
  return digest.hexdigest()


def _files_below(path: str, folder: str) -> list[str]:
  """Returns the files in a folder below a path, then those of its folders."""
  inside = [
    os.path.join(folder, name)
    for name in files.names(os.path.join(path, folder))
  ]
  folders = [f for f in inside if files.is_folder(os.path.join(path, f))]
  found = [name for name in inside if name not in folders]
  return sum((_files_below(path, f) for f in folders), found)
