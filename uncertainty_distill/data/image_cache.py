"""Decoded images in files, whose rows are mapped into memory as they are read.

CACHE/FINGERPRINT/ holds a dataset in the state in which it was decoded:

  manifest.json      the values that the fingerprint is computed from
  SPLIT.images       uint8 [N, H, W, 3] of `train` or `test`, as bytes
  SPLIT.npz          labels [N], the description of the dataset, and digests
                     [N] of the files that the images came from or, if they
                     came from no files, their fingerprint

The `.npz` file of a split is written last: a split without it is made again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from uncertainty_distill.data.image_source import DatasetSpec, ImageSource
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import archives, files

import numpy as np

if TYPE_CHECKING:
  import tensorflow as tf

_NAME = 'task.train_data.image_cache'
# Raise this when the same files begin to be decoded to other images.
_FORMAT = 1
# The number of images in memory at once while a file is written.
_CHUNK = 256


class SplitReader(Protocol):
  """A dataset that is decoded split by split."""

  @property
  def spec(self) -> DatasetSpec:
    """The description of the images and labels."""
    ...

  def split(self, name: str) -> ImageSource:
    """Returns the examples of `train` or `test`."""
    ...


class MappedSource(ImageSource):
  """Images in a file, of which only the rows that are read enter memory."""

  def __init__(
    self,
    spec: DatasetSpec,
    path: str,
    labels: np.ndarray,
    digests: np.ndarray | None = None,
    fingerprint: str = '',
  ):
    """Wraps a file, which must not change from here on.

    Args:
      spec: The description of the dataset that the images belong to.
      path: The file, uint8 [N, H, W, C] as bytes.
      labels: Integers [N].
      digests: The checksums of the images, as `row_digests` returns them; None
        to compute checksums from the pixels.
      fingerprint: The fingerprint, if it is known.
    """
    super().__init__(spec, labels)
    self._path, self._digests = path, digests
    self._fingerprint = fingerprint

  def read(self, rows: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    with tf.device('CPU'):
      images = tf.raw_ops.ImmutableConst(
        dtype=tf.uint8,
        shape=[len(self), *self.spec.image_shape],
        memory_region_name=self._path,
      )
      return tf.gather(images, rows)

  def numpy(self, rows: np.ndarray | slice) -> np.ndarray:
    shape = (len(self), *self.spec.image_shape)
    return np.memmap(self._path, np.uint8, 'r', shape=shape)[rows]

  def row_digests(self, rows: np.ndarray | slice) -> np.ndarray | None:
    return None if self._digests is None else self._digests[rows]

  @functools.cached_property
  def fingerprint(self) -> str:
    return self._fingerprint or super().fingerprint


class CachedDataset:
  """A dataset whose splits are decoded once, for this and later processes.

  Attributes:
    spec: The description of the images and labels.
  """

  def __init__(
    self,
    directory: str,
    ingredients: Mapping[str, Any],
    name: str,
    opener: Callable[[], SplitReader],
  ):
    """Finds the training images, or decodes them.

    Args:
      directory: The folder that holds any number of datasets.
      ingredients: Everything that the images depend on, as JSON can hold it.
      name: The name of the dataset.
      opener: Opens the dataset without the cache.

    Raises:
      InputError: If the folder is not on a local disk or cannot be written, or
        if `opener` raises it.
    """
    if files.is_remote(directory):
      raise InputError(_NAME, directory, 'a folder on a local disk')
    content = {'format': _FORMAT, 'made_from': ingredients}
    text = json.dumps(content, sort_keys=True, indent=1)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    self._folder = os.path.join(files.absolute(directory), fingerprint)
    self._manifest, self._name, self._opener = text, name, opener
    self._opened: SplitReader | None = None
    self._train = self._find('train')
    self.spec: DatasetSpec = self._train.spec

  def split(self, name: str) -> ImageSource:
    """Returns the examples of `train` or `test`.

    Raises:
      InputError: For the same reasons as on opening, for the other split.
    """
    return self._train if name == 'train' else self._find(name)

  def _find(self, split: str) -> MappedSource:
    """Returns a split, and writes it first if it is missing or incomplete."""
    found = self._read(split)
    if found:
      return found
    # Whoever has no cache needs neither locks nor the library that they are
    # made of.
    from uncertainty_distill.io import locks

    with locks.lock_folder(self._folder, _NAME, wait=True):
      # Another process may have written it meanwhile.
      found = self._read(split)
      if not found:
        self._opened = self._opened or self._opener()
        self._write(split, self._opened.split(split))
        found = self._read(split)
        if split != 'train':
          self._opened = None  # Frees its own copy of the training images.
    assert found
    return found

  def _read(self, split: str) -> MappedSource | None:
    """Returns a split, or None if it is missing or incomplete."""
    images = os.path.join(self._folder, f'{split}.images')
    try:
      arrays = archives.read_arrays(self._file(split))
      values = json.loads(str(arrays['spec']))
      labels, digests = arrays['labels'], arrays.get('digests')
      # Older caches lack it.
      fingerprint = str(arrays.get('fingerprint', ''))
      size = os.path.getsize(images)
    except (OSError, ValueError, KeyError):
      return None
    values = {k: tuple(v) for k, v in values.items()}
    spec = DatasetSpec(self._name, **values)
    if size != len(labels) * math.prod(spec.image_shape):
      return None
    return MappedSource(spec, images, labels, digests, fingerprint)

  def _write(self, split: str, source: ImageSource) -> None:
    """Writes a split; the caller must hold the lock of the folder."""
    path = os.path.join(self._folder, f'{split}.images')
    spec, digests = source.spec, source.row_digests(slice(None))
    try:
      with open(path, 'wb') as file:
        for start in range(0, len(source), _CHUNK):
          file.write(source.numpy(slice(start, start + _CHUNK)).tobytes())
        # Before the file that says that these images are complete.
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
      with contextlib.suppress(OSError):
        os.remove(path)
      raise InputError(
        _NAME,
        self._folder,
        'a folder that can be written to and has space for all images',
        error.strerror or '',
      ) from error
    values = dataclasses.asdict(spec)
    del values['name']  # The same pictures may be opened by another path.
    arrays: dict[str, Any] = {
      'labels': source.labels,
      'spec': json.dumps(values),
    }
    if digests is not None:
      arrays['digests'] = digests
    else:
      # Whoever trains on the images needs it, and it takes all their pixels.
      arrays['fingerprint'] = source.fingerprint
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    files.write_text(
      os.path.join(self._folder, 'manifest.json'), self._manifest
    )
    files.write_bytes(self._file(split), buffer.getvalue())

  def _file(self, split: str) -> str:
    return os.path.join(self._folder, f'{split}.npz')
