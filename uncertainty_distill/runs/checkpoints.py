"""A folder's checkpoints: which is the newest, and whether it can be read.

A checkpoint's name gives its step, so finding the step of a run reads no
checkpoint. TensorFlow keeps a CRC-32C of every tensor, and of every block of
the index, inside a checkpoint's own files. So reading a whole checkpoint finds
files that were cut, lost or changed. Training reads a whole checkpoint before
it continues from it.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re

from uncertainty_distill.io import files

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

# The errors that TensorFlow raises for a checkpoint that it cannot read.
READ_ERRORS = tf.errors.OpError, IndexError, RuntimeError, ValueError

# The file in which TensorFlow lists the checkpoints to keep.
STATE_FILE = 'checkpoint'
_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'
# The ending of the name of an index that cannot be used.
_SET_ASIDE = '.damaged'

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Damage:
  """Why a checkpoint cannot be read.

  Attributes:
    step: The checkpoint's step.
    file: The name of the file at fault.
    reason: What is wrong with it.
  """

  step: int
  file: str
  reason: str

  def __str__(self) -> str:
    return f'checkpoint {self.step} is damaged ({self.file}: {self.reason})'


def steps(folder: str) -> list[int]:
  """Returns the steps of a folder's checkpoints, even if damaged, in order."""
  found = [re.fullmatch(r'ckpt-(\d+)\.index', name) for name in _names(folder)]
  # Without an index, a checkpoint counts only if TensorFlow had finished it and
  # so lists it as the newest.
  found += [re.search(r'(?:^|/)ckpt-(\d+)$', p) for p in _listed(folder)[-1:]]
  return sorted({int(match[1]) for match in found if match})


def newest_step(folder: str) -> int:
  """Returns the step of the newest checkpoint, even damaged; 0 for none."""
  return max(steps(folder), default=0)


def prefix(folder: str, step: int) -> str:
  """Returns a checkpoint's path without the endings of its files."""
  return os.path.join(folder, f'ckpt-{step}')


def find_damage(folder: str, step: int, thorough: bool = True) -> Damage | None:
  """Returns what is wrong with a checkpoint, if anything.

  Args:
    folder: The run folder.
    step: The checkpoint's step.
    thorough: Whether to read all tensors. Otherwise only the last one is read,
      to find a file that was cut.
  """
  names = _files(folder, step)
  file = f'ckpt-{step}.index'
  if file not in names:
    return Damage(step, file, 'it is missing')
  try:
    # In other file systems `load_checkpoint` may mistake a prefix for a folder.
    reader = tf.compat.v1.train.NewCheckpointReader(prefix(folder, step))
    tensors = sorted(reader.get_variable_to_shape_map())
    if _GRAPH not in tensors:
      return Damage(step, file, 'it does not list all tensors')
    file = _data_file(step, names)
    if file not in names:
      return Damage(step, file, 'it is missing')
    for tensor in tensors if thorough else tensors[-1:]:
      reader.get_tensor(tensor)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
      reader.get_tensor(_GRAPH)
    )
  except READ_ERRORS as error:
    text = str(getattr(error, 'message', error)).replace(f'{folder}/', '')
    return Damage(step, file, (text.splitlines() or ['unreadable'])[0][:200])
  # If a block of the index is damaged, TensorFlow reads the blocks before it.
  listed = {a.checkpoint_key for node in graph.nodes for a in node.attributes}
  if listed - {*tensors}:
    return Damage(step, f'ckpt-{step}.index', 'it does not list all tensors')
  return None


def repair_state_file(folder: str) -> None:
  """Makes TensorFlow continue from the newest checkpoint that can be read.

  The lost steps are logged. The index of a damaged checkpoint is renamed, so
  that it no longer counts as a checkpoint. Its data stays until training comes
  to its step again.
  """
  kept, damages = steps(folder), []
  while kept and (damage := find_damage(folder, kept[-1])):
    damages.append(damage)
    kept.pop()
  step = kept[-1] if kept else 0
  if damages:
    _logger.warning(
      '%s: %s; training continues from step %d and repeats %d steps',
      folder,
      damages[0],
      step,
      damages[0].step - step,
    )
  path = os.path.join(folder, STATE_FILE)
  if not kept:
    # A folder of this name would not be ours.
    if files.is_file(path):
      files.remove(path)
  elif _listed(folder) != [prefix(folder, s) for s in (*kept, step)]:
    # The public function would write absolute paths, but a run can be moved.
    # A checkpoint without a time would never make room for newer ones.
    tf.__internal__.train.update_checkpoint_state(
      folder,
      prefix(folder, step),
      [prefix(folder, s) for s in kept],
      save_relative_paths=True,
      all_model_checkpoint_timestamps=[
        files.modified(f'{prefix(folder, s)}.index') / 1e9 for s in kept
      ],
    )
  for damage in damages:
    index = f'{prefix(folder, damage.step)}.index'
    if files.exists(index):
      files.rename(index, index + _SET_ASIDE)


def discard(folder: str, step: int) -> None:
  """Removes a checkpoint: first its index, without which it does not count."""
  for name in sorted(_files(folder, step), reverse=True):
    files.remove(os.path.join(folder, name))
  # The file lists the checkpoint, which must not count as damaged now.
  files.remove(os.path.join(folder, STATE_FILE))
  repair_state_file(folder)


def _names(folder: str) -> list[str]:
  return files.names(folder) if files.is_folder(folder) else []


def _files(folder: str, step: int) -> list[str]:
  return [n for n in _names(folder) if n.startswith(f'ckpt-{step}.')]


def _listed(folder: str) -> list[str]:
  """Returns the paths that TensorFlow lists, then again the newest of them.

  TensorFlow removes what is listed when it makes room, wherever that is.
  """
  try:
    state = tf.train.get_checkpoint_state(folder)
  except ValueError:  # The file is no text, or lists none.
    state = None
  if state is None:
    return []
  return [*state.all_model_checkpoint_paths, state.model_checkpoint_path]


def _data_file(step: int, names: list[str]) -> str:
  """Returns a data file that is missing, or else the first data file."""
  shards = [re.search(r'\.data-\d{5}-of-(\d{5})$', name) for name in names]
  count = next((match[1] for match in shards if match), '00001')
  wanted = [
    f'ckpt-{step}.data-{shard:05}-of-{count}' for shard in range(int(count))
  ]
  return next((name for name in wanted if name not in names), wanted[0])
