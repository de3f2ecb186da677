"""Splits of TFDS datasets, whole, as NumPy arrays."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Sequence
from typing import Any

from uncertainty_distill.errors import InputError

import numpy as np


def make_builder(name: str, data_dir: str) -> Any:
  """Returns TFDS's builder of a dataset.

  Args:
    name: The dataset's, as TFDS has it.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice, which
      is the environment variable TFDS_DATA_DIR or ~/tensorflow_datasets.
  """
  # Imported here: it brings TensorFlow, which not every process needs.
  import tensorflow_datasets as tfds

  return tfds.builder(name, data_dir=os.path.expanduser(data_dir) or None)


def read_split(builder: Any, split: str) -> dict[str, np.ndarray]:
  """Reads a split, feature by feature, in the order of its files.

  Args:
    builder: That of a dataset that TFDS has prepared.
    split: Its name.

  Raises:
    InputError: If a file of it is damaged.
  """
  import tensorflow_datasets as tfds

  try:
    whole = builder.as_dataset(
      split=split,
      batch_size=-1,
      shuffle_files=False,
      read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
  except Exception as error:  # Of many types, and none names the file.
    path, reason = _damaged_file(builder, split) or ('', '')
    if not path:
      raise
    raise InputError(
      'data_dir',
      path,
      'the file as TFDS wrote it',
      f'remove {os.path.dirname(path)} and prepare it again ({reason})',
    ) from error
  return {name: feature.numpy() for name, feature in whole.items()}


def _damaged_file(builder: Any, split: str) -> tuple[str, str] | None:
  """Returns the first file of a split that is not whole, and what is wrong."""
  import tensorflow as tf

  info = builder.info.splits[split]
  if getattr(builder.info.file_format, 'value', 'tfrecord') != 'tfrecord':
    return None
  for path, wanted in zip(info.filepaths, info.shard_lengths):
    try:
      # Each record has a checksum, which is looked at here.
      found = sum(1 for _ in tf.data.TFRecordDataset(os.fspath(path)))
    except tf.errors.OpError as error:
      return os.fspath(path), error.message.splitlines()[0][:200]
    if found != wanted:
      return os.fspath(path), f'{found} records instead of {wanted}'
  return None


def read_published(
  name: str, split: str, data_dir: str, download: bool = True
) -> tuple[np.ndarray, np.ndarray]:
  """Reads images and labels in the published order, downloading where it can.

  TFDS shuffles what it stores, but its ids say where in the published files an
  example was, as in `test_00042`: that is also the order of CIFAR-10-C and
  CIFAR-100-C. Where ids say nothing of the sort, examples stay as stored.

  Args:
    name: The dataset's.
    split: `train` or `test`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    download: Whether to download and prepare what is not there.

  Raises:
    InputError: If the dataset is not there, and cannot or may not be
      downloaded.
  """
  try:
    builder = make_builder(name, data_dir)
    if not builder.is_prepared():
      if not download:
        raise FileNotFoundError('it is not prepared there')
      # TFDS would go on trying for minutes where there is no network.
      for url in builder.url_infos:
        urllib.request.urlopen(url, timeout=10).close()
    builder.download_and_prepare()
    whole = read_split(builder, split)
  except InputError:
    raise
  except Exception as error:  # Whatever the network or the disk came up with.
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise InputError(
      'data_dir',
      data_dir or os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets'),
      f'a folder with TFDS {name!r}'
      + (', or a network to download it' if download else ''),
      f'prepare it elsewhere by `tfds build {name}` and copy it here '
      f'({reason[:200]})',
    ) from error
  order = _published_order(whole.get('id', ()))
  return whole['image'][order], whole['label'][order]


def _published_order(ids: Sequence[bytes]) -> np.ndarray | slice:
  """Returns the stored places of examples in the order of their numbers."""
  numbers = [re.fullmatch(rb'(?:train|test)_(\d{5})', i) for i in ids]
  if not numbers or not all(numbers):
    return slice(None)
  return np.argsort([int(number.group(1)) for number in numbers])
