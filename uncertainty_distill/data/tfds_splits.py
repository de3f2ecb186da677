"""Reads splits of TFDS datasets as NumPy arrays."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.io import files

import numpy as np

# Where TFDS keeps datasets by default.
_USUAL_FOLDER = '~/tensorflow_datasets'


def folder(data_dir: str) -> str:
  """Returns the folder of TFDS's datasets; empty for ~/tensorflow_datasets.

  Args:
    data_dir: A folder; empty for the one in the environment variable
      TFDS_DATA_DIR.
  """
  return os.path.expanduser(data_dir) or os.environ.get('TFDS_DATA_DIR', '')


def make_builder(name: str, data_dir: str) -> Any:
  """Returns TFDS's builder of a dataset.

  Args:
    name: The name that the dataset has in TFDS.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice, which
      is the environment variable TFDS_DATA_DIR or ~/tensorflow_datasets.
  """
  # Imported here, because it imports TensorFlow, which not every process needs.
  import tensorflow_datasets as tfds

  root = folder(data_dir)
  _check_features(name, root)
  return tfds.builder(name, data_dir=root or None)


def overlap(builder: Any, one: str, other: str) -> bool:
  """Returns whether two splits of a dataset have examples in common."""
  first, second = (
    builder.info.splits[split].file_instructions for split in (one, other)
  )
  return any(
    a.filename == b.filename
    and a.skip < b.skip + b.take
    and b.skip < a.skip + a.take
    for a in first
    for b in second
  )


def _check_features(name: str, root: str) -> None:
  """Raises an InputError if a prepared dataset names modules of others.

  TFDS imports the module of each feature that a dataset's folder names.
  """
  base = re.split('[/:]', name)[0]
  place = os.path.join(root or os.path.expanduser(_USUAL_FOLDER), base)
  for depth in '*', '*/*':
    for path in files.matching(os.path.join(place, depth, 'features.json')):
      check = functools.partial(_check_part, path)
      json.loads(files.read_text(path), object_hook=check)


def _check_part(path: str, part: dict[str, Any]) -> dict[str, Any]:
  """Returns a part of `features.json` unless it names a module of others."""
  for key in 'type', 'pythonClassName':
    kind = part.get(key)
    is_module = isinstance(kind, str) and '.' in kind
    if is_module and str(kind).partition('.')[0] != 'tensorflow_datasets':
      raise InputError(
        'data_dir',
        path,
        "a dataset of TFDS's own features",
        f'it names {kind}, a module that would be imported',
      )
  return part


def read_split(builder: Any, split: str) -> dict[str, np.ndarray]:
  """Reads a split into memory, in the order of its files.

  Args:
    builder: The builder of a dataset that TFDS has prepared.
    split: The name of the split.

  Returns:
    The array of each feature, by name.

  Raises:
    InputError: If a file of the split is damaged.
  """
  with _damage_named(builder, split):
    whole = _in_order(builder, split, batch_size=-1)
  return {name: feature.numpy() for name, feature in whole.items()}


def batches(
  builder: Any, split: str, function: Callable, batch_size: int
) -> Iterator[Any]:
  """Yields batches of a split as NumPy arrays, in the order of its files.

  Args:
    builder: The builder of a dataset that TFDS has prepared.
    split: The name of the split.
    function: The function to apply to each example, in the graph.
    batch_size: Examples in a batch; the last batch may have fewer.

  Raises:
    InputError: If a file of the split is damaged.
  """
  import tensorflow as tf

  with _damage_named(builder, split):
    examples = _in_order(builder, split).map(
      tf.autograph.experimental.do_not_convert(function), tf.data.AUTOTUNE
    )
    yield from examples.batch(batch_size).as_numpy_iterator()


def _in_order(builder: Any, split: str, **options: Any) -> Any:
  """Returns a split as TFDS gives it, in the order of its files."""
  import tensorflow_datasets as tfds

  return builder.as_dataset(
    split=split,
    shuffle_files=False,
    read_config=tfds.ReadConfig(interleave_cycle_length=1),
    **options,
  )


@contextlib.contextmanager
def _damage_named(builder: Any, split: str) -> Iterator[None]:
  """Turns an error while reading into an InputError that names the file."""
  try:
    yield
  except Exception as error:  # Of many types; none names the file.
    path, reason = _damaged_file(builder, split) or ('', '')
    if not path:
      raise
    raise InputError(
      'data_dir',
      path,
      'the file as TFDS wrote it',
      f'remove {os.path.dirname(path)} and prepare the dataset again',
      message=f'The file {path} of TFDS is damaged: {reason}',
    ) from error


def _damaged_file(builder: Any, split: str) -> tuple[str, str] | None:
  """Returns the first damaged file of a split, and what is wrong with it."""
  import tensorflow as tf

  if getattr(builder.info.file_format, 'value', 'tfrecord') != 'tfrecord':
    return None
  parts = [part.partition('[')[0].strip() for part in split.split('+')]
  infos = [builder.info.splits[name] for name in parts]
  for path, wanted in itertools.chain(
    *(zip(info.filepaths, info.shard_lengths) for info in infos)
  ):
    try:
      # Reading a record verifies its checksum.
      found = sum(1 for _ in tf.data.TFRecordDataset(os.fspath(path)))
    except tf.errors.OpError as error:
      return os.fspath(path), first_line(error)
    if found != wanted:
      return os.fspath(path), f'{found} records instead of {wanted}'
  return None


def prepared_folder(name: str, data_dir: str) -> str:
  """Returns the folder of a dataset; empty unless TFDS has prepared it."""
  if re.match(r'\w+:\D', name):
    # TFDS would install the code of this namespace to look the dataset up.
    return ''
  with _explained(name, data_dir):
    builder = make_builder(name, data_dir)
    return os.fspath(builder.data_dir) if builder.is_prepared() else ''


def check_prepared(name: str, data_dir: str) -> None:
  """Raises an InputError unless TFDS has prepared a dataset."""
  with _explained(name, data_dir):
    if not prepared_folder(name, data_dir):
      raise FileNotFoundError('it has not been prepared there')


def prepare(name: str, data_dir: str) -> Any:
  """Returns the builder of a dataset, downloading the dataset if needed.

  Args:
    name: The name that the dataset has in TFDS.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.

  Raises:
    InputError: If the dataset is not there and cannot be downloaded.
  """
  with _explained(name, data_dir):
    builder = make_builder(name, data_dir)
    if not builder.is_prepared():
      _check_network(builder, data_dir)
    builder.download_and_prepare()
  return builder


def _check_network(builder: Any, data_dir: str) -> None:
  """Raises an OSError without a network: TFDS would try for minutes."""
  root = folder(data_dir) or os.path.expanduser(_USUAL_FOLDER)
  # What was downloaded before, or by hand, may be enough.
  if files.is_folder(os.path.join(root, 'downloads')):
    return
  for url in itertools.islice(getattr(builder, 'url_infos', None) or (), 1):
    try:
      urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError:
      pass  # The server answers; what it lacks, TFDS says better.


def read_published(
  name: str, split: str, data_dir: str
) -> tuple[np.ndarray, np.ndarray]:
  """Reads a split in its published order, downloading the dataset if needed.

  TFDS shuffles what it stores, but an id such as `test_00042` says where in the
  published files an example was. CIFAR-10-C and CIFAR-100-C are in the order of
  the published files. A dataset without such ids keeps the order of TFDS.

  Args:
    name: The name that the dataset has in TFDS.
    split: `train` or `test`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.

  Returns:
    Images uint8 [N, H, W, C] and labels [N].

  Raises:
    InputError: If the dataset is not there and cannot be downloaded.
  """
  builder = prepare(name, data_dir)
  with _explained(name, data_dir):
    whole = read_split(builder, split)
  order = _published_order(whole.get('id', ()))
  return whole['image'][order], whole['label'][order]


@contextlib.contextmanager
def _explained(name: str, data_dir: str) -> Iterator[None]:
  """Turns any error into an InputError about the folder of TFDS."""
  try:
    yield
  except InputError:
    raise
  except Exception as error:  # Anything that a network or a disk can raise.
    reason = first_line(error)
    place = folder(data_dir) or _USUAL_FOLDER
    raise InputError(
      'data_dir',
      place,
      f'a folder in which TFDS has prepared {name}',
      f'run `tfds build {shlex.quote(name)}` here, or run it on a machine with '
      'network access and copy the folder',
      message=f'TFDS cannot load {name} from `data_dir` {place!r}: '
      f'{reason[:200]}',
    ) from error


def _published_order(
  ids: Sequence[bytes] | np.ndarray,
) -> np.ndarray | slice:
  """Returns the stored rows in published order, or all rows without ids."""
  numbers = [re.fullmatch(rb'(?:train|test)_(\d{5})', i) for i in ids]
  found = [int(number.group(1)) for number in numbers if number]
  if not found or len(found) < len(numbers):
    return slice(None)
  return np.argsort(found)
