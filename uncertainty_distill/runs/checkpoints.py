"""Which of a folder's checkpoints is the newest whole one.

TensorFlow keeps a CRC-32C of every tensor, and of every block of the index,
inside a checkpoint's own files: reading all of it finds what was cut, lost or
changed, in old checkpoints as in new ones, and no second file can disagree.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import re

from uncertainty_distill.io import files

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

_logger = logging.getLogger(__name__)

# TensorFlow's list of the checkpoints that it is to keep.
_STATE = 'checkpoint'
_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'


@dataclasses.dataclass(frozen=True)
class Damage:
  """A checkpoint that cannot be read.

  Attributes:
    step: Its number.
    file: The name of the file at fault.
    reason: What is wrong with it.
  """

  step: int
  file: str
  reason: str

  def __str__(self) -> str:
    return f'checkpoint {self.step} is damaged ({self.file}: {self.reason})'


@dataclasses.dataclass(frozen=True)
class Found:
  """What a folder's checkpoints come to.

  Attributes:
    prefix: The newest whole one's path, without the endings; None for none.
    step: Its number; 0 for none.
    damages: Those that are newer, and damaged; the newest first.
  """

  prefix: str | None
  step: int
  damages: tuple[Damage, ...]

  @property
  def lost_steps(self) -> int:
    """How many steps are to be taken once more."""
    return self.damages[0].step - self.step if self.damages else 0


def steps(folder: str) -> list[int]:
  """Returns the numbers of a folder's checkpoints, damaged or not, in order."""
  there = _names(folder)
  found = [re.fullmatch(r'ckpt-(\d+)\.index', name) for name in there]
  # What has no index is a checkpoint only if its writing came to its end.
  ended = _named(folder, there)[-1:]
  return sorted({int(match.group(1)) for match in found if match} | {*ended})


def find(folder: str) -> Found:
  """Finds the newest whole checkpoint; reads it, and those that are newer.

  A checkpoint whose files are as they were is read once in a process.

  Args:
    folder: Need not be there.
  """
  there, damages = _names(folder), []
  for step in reversed(steps(folder)):
    own = [name for name in there if name.startswith(f'ckpt-{step}.')]
    stamp = tuple((n, files.modified(os.path.join(folder, n))) for n in own)
    damage = _damage(folder, step, stamp)
    if damage is None:
      return Found(_prefix(folder, step), step, tuple(damages))
    damages.append(damage)
  return Found(None, 0, tuple(damages))


def settle(folder: str) -> None:
  """Has TensorFlow go on from the newest whole checkpoint of a folder.

  Says on standard error what is lost, if anything is. Damaged files stay, until
  training comes to their step again.
  """
  found = find(folder)
  if found.damages:
    _logger.warning(
      f'{folder}: {found.damages[0]}: going on from {found.step}, '
      f'{found.lost_steps} steps are repeated'
    )
  path = os.path.join(folder, _STATE)
  kept = [step for step in steps(folder) if step <= found.step]
  if not kept:
    files.remove(path)
  elif _named(folder, _names(folder)) != [*kept, found.step]:
    lines = [f'model_checkpoint_path: "ckpt-{found.step}"']
    lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in kept]
    # Without a time, a checkpoint would never make room for newer ones.
    times = [files.modified(f'{_prefix(folder, s)}.index') for s in kept]
    lines += [f'all_model_checkpoint_timestamps: {t / 1e9}' for t in times]
    files.write_text(path, '\n'.join([*lines, '']))


def discard(folder: str, step: int) -> None:
  """Removes a checkpoint; its index first, without which it is none."""
  own = [n for n in _names(folder) if n.startswith(f'ckpt-{step}.')]
  for name in sorted(own, reverse=True):
    files.remove(os.path.join(folder, name))
  settle(folder)


def _prefix(folder: str, step: int) -> str:
  return os.path.join(folder, f'ckpt-{step}')


def _names(folder: str) -> list[str]:
  return files.names(folder) if files.is_folder(folder) else []


def _named(folder: str, there: list[str]) -> list[int]:
  """Returns the checkpoints that TensorFlow lists, then its newest."""
  if _STATE not in there:
    return []
  content = files.read_bytes(os.path.join(folder, _STATE))
  pattern = rb'^%smodel_checkpoint_paths?: "(?:.*/)?ckpt-(\d+)"$'
  return [
    int(number)
    for kind in (rb'all_', rb'')
    for number in re.findall(pattern % kind, content, re.MULTILINE)
  ]


@functools.lru_cache(maxsize=4096)
def _damage(
  folder: str, step: int, stamp: tuple[tuple[str, int], ...]
) -> Damage | None:
  """Returns what is wrong with a checkpoint of these files, if anything."""
  names = [name for name, _ in stamp]
  file = f'ckpt-{step}.index'
  if file not in names:
    return Damage(step, file, 'it is missing')
  try:
    # `load_checkpoint` may take a prefix for a folder in other file systems.
    reader = tf.compat.v1.train.NewCheckpointReader(_prefix(folder, step))
    tensors = set(reader.get_variable_to_shape_map())
    if _GRAPH not in tensors:
      return Damage(step, file, 'it does not list all tensors')
    file = _data_file(step, names)
    if file not in names:
      return Damage(step, file, 'it is missing')
    for tensor in tensors:
      reader.get_tensor(tensor)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
      reader.get_tensor(_GRAPH)
    )
  except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
    text = str(getattr(error, 'message', error)).replace(f'{folder}/', '')
    return Damage(step, file, (text.splitlines() or ['unreadable'])[0][:200])
  # Where a block of the index is damaged, TensorFlow reads those before it.
  listed = {a.checkpoint_key for node in graph.nodes for a in node.attributes}
  if listed - tensors:
    return Damage(step, f'ckpt-{step}.index', 'it does not list all tensors')
  return None


def _data_file(step: int, names: list[str]) -> str:
  """Returns the data file that is missing, or else the first one."""
  shards = [re.search(r'\.data-\d+-of-(\d+)$', name) for name in names]
  count = next((match.group(1) for match in shards if match), '00001')
  wanted = [
    f'ckpt-{step}.data-{shard:05}-of-{count}' for shard in range(int(count))
  ]
  return next((name for name in wanted if name not in names), wanted[0])
