"""Compares the results in two folders, and finds work that was done twice."""

from __future__ import annotations

import collections
import os
import pathlib
import re

from uncertainty_distill import reports
from uncertainty_distill.io import archives

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

# Files that hold times, or are pieces of what is compared in another way.
_NOT_BY_BYTES = re.compile(
  r'checkpoint|systems\.json|train\.log|ckpt-.*'
  r'|fingerprint\.pb|variables\..*|\.lock(\.json)?'
)
# The time at which a file was written; it follows the name of the file.
_WRITTEN = re.compile(rb'@\d+')
_TRAINED = re.compile(r'train \| step: +(\d+) \| steps')


def files_of(folder: pathlib.Path) -> list[str]:
  """Returns the files below a folder, except TensorBoard's event files."""
  return sorted(
    path.relative_to(folder).as_posix()
    for path in folder.rglob('*')
    if path.is_file() and 'tfevents' not in path.name
  )


def differences(one: pathlib.Path, two: pathlib.Path) -> list[str]:
  """Compares results bit for bit.

  Weights, optimizers and steps are read from checkpoints, the weights of
  SavedModels from the constants of their graphs, and curves from event files.
  Everything else is compared as bytes, except what holds times: the logs, and
  the records of the files that results were made from.

  Args:
    one: A folder of results.
    two: Another folder of results.

  Returns:
    A line for each file that differs, or that only one folder has.
  """
  names, others = set(files_of(one)), set(files_of(two))
  found = [f'{name} is in one only' for name in sorted(names ^ others)]
  for name in sorted(names & others):
    base = os.path.basename(name)
    if re.fullmatch(r'(ckpt-\d+|variables)\.index', base):
      prefix = name.removesuffix('.index')
      same = _same_tensors(str(one / prefix), str(two / prefix))
    elif base == 'saved_model.pb':
      same = _constants(one / name) == _constants(two / name)
    elif _NOT_BY_BYTES.fullmatch(base):
      continue
    elif name.endswith('.npz'):
      same = _same_arrays(one / name, two / name)
    else:
      found_bytes, expected = ((f / name).read_bytes() for f in (one, two))
      if base == 'data.yaml':
        found_bytes, expected = (
          _WRITTEN.sub(b'', content) for content in (found_bytes, expected)
        )
      same = found_bytes == expected
    if not same:
      found.append(f'{name} differs')
  return found + _different_curves(one, two)


def _same_arrays(one: pathlib.Path, two: pathlib.Path) -> bool:
  """Compares arrays, but not what they were made from and when."""
  found, expected = archives.read_arrays(one), archives.read_arrays(two)
  for arrays in found, expected:
    arrays.pop('made_from', None)
  return _same_values(found, expected)


def _same_tensors(one: str, two: str) -> bool:
  return _same_values(_tensors(one), _tensors(two))


def _constants(path: pathlib.Path) -> collections.Counter[bytes]:
  """Returns the constants of a SavedModel; names in it differ by process."""
  model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
  graphs = [part.graph_def for part in model.meta_graphs]
  nodes = [node for graph in graphs for node in graph.node]
  for graph in graphs:
    for function in graph.library.function:
      nodes += function.node_def
  return collections.Counter(
    node.attr['value'].tensor.SerializeToString(deterministic=True)
    for node in nodes
    if node.op == 'Const'
  )


def _same_values(
  found: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> bool:
  return found.keys() == expected.keys() and all(
    value.dtype == expected[name].dtype
    and value.tobytes() == expected[name].tobytes()
    for name, value in found.items()
  )


def _tensors(prefix: str) -> dict[str, np.ndarray]:
  """Returns all that a checkpoint holds, except the count of checkpoints."""
  reader = tf.train.load_checkpoint(prefix)
  return {
    name: np.asarray(reader.get_tensor(name))
    for name in reader.get_variable_to_shape_map()
    if not name.startswith(('_CHECKPOINTABLE', 'save_counter'))
  }


def _different_curves(one: pathlib.Path, two: pathlib.Path) -> list[str]:
  """Compares the scalars that TensorBoard shows."""
  found = []
  folders = {
    path.parent.relative_to(folder).as_posix()
    for folder in (one, two)
    for path in folder.rglob('*tfevents*')
  }
  for name in sorted(folders):
    curves = []
    for folder in one, two:
      scalars = reports.read_scalars(str(folder / name))
      curves.append(
        {
          tag: points
          for tag, points in scalars.items()
          if not tag.endswith('_per_second')
        }
      )
    if curves[0] != curves[1]:
      found.append(f'{name}: the curves differ')
  return found


class Finished:
  """What a process had finished when it was killed.

  Attributes:
    checkpoints: The step of the newest checkpoint of each run folder.
    num_arrays: The number of arrays that were complete.
  """

  def __init__(self, folder: pathlib.Path):
    """Records what is in a folder now."""
    self._folder = folder
    self.checkpoints: dict[str, int] = {}
    self._times: dict[str, int] = {}
    self._logged: dict[str, int] = {}
    for name in files_of(folder):
      path = folder / name
      if path.name == 'checkpoint':
        match = re.search(
          r'^model_checkpoint_path: "ckpt-(\d+)"', path.read_text(), re.M
        )
        self.checkpoints[os.path.dirname(name)] = int(match.group(1))
      elif path.name == 'train.log':
        self._logged[name] = path.stat().st_size
      elif path.suffix == '.npy' and not path.name.startswith('.'):
        self._times[name] = path.stat().st_mtime_ns
    self.num_arrays = len(self._times)
    for run, step in self.checkpoints.items():
      name = os.path.join(run, f'ckpt-{step}.index')
      self._times[name] = (folder / name).stat().st_mtime_ns

  def done_twice(self) -> list[str]:
    """Returns the finished files and training steps that were made again."""
    found = []
    for name, time in self._times.items():
      path = self._folder / name
      # Old checkpoints are removed, once there are newer ones.
      if path.exists() and path.stat().st_mtime_ns != time:
        found.append(f'{name} was written twice')
    for run, step in self.checkpoints.items():
      name = os.path.join(run, 'train.log')
      log = (self._folder / name).read_bytes()[self._logged.get(name, 0) :]
      steps = map(int, _TRAINED.findall(log.decode()))
      repeated = [number for number in steps if number <= step]
      if repeated:
        found.append(f'{run}: trained to {repeated} again after {step}')
    return found
