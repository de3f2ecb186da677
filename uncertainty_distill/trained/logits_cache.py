"""A teacher's logits of augmented views, stored once for all its students.

A view is one augmentation of the whole training set. CACHE/FINGERPRINT/ holds

  manifest.json   what the fingerprint is made of, the shape of the views, and
                  the SHA-256 of the numbers in each
  view_0000.npy   float16 [N, M, K] of all N examples in the dataset's order,
                  which NumPy can map into memory

  images_0000.npy uint16 [N, H, W, C], the images in 1/256 of a gray level,
                  if the teacher has changed them

and such files for every other view. The files of logits hold log-probabilities.
Softmax gives the same result for these as for logits. Float16 is finest near 0,
where the log-probabilities of likely classes are: its 11 bits of precision
change a probability p by at most 2^-11 p |log p|, which is below 2e-4. The
number of views is not part of the fingerprint, so more epochs extend a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.trained import fingerprints

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)

_MANIFEST = 'manifest.json'
# Raise this when files of the same names begin to mean something else.
_FORMAT = 1
_NAME = 'task.objective.teacher_cache'
_TYPE = np.dtype('<f2')


def as_stored(logits: tf.Tensor) -> tf.Tensor:
  """Returns logits [M, B, K] as they are stored: float16 [B, M, K]."""
  log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
  # exp(-65504) is 0, like exp(-infinity). But 65504 times 0 is 0, and infinity
  # times 0 is NaN.
  log_probs = tf.maximum(log_probs, float(np.finfo(_TYPE).min))
  return tf.cast(tf.transpose(log_probs, [1, 0, 2]), tf.float16)


class LogitsCache:
  """One teacher's logits of the views of one training set.

  Attributes:
    path: The folder that holds its files.
    shape: N, M, K of each view; empty until there is one.
  """

  def __init__(
    self,
    directory: str,
    ingredients: Mapping[str, Any],
    image_shape: Sequence[int] = (),
  ):
    """Finds the folder of this teacher, training set and augmentation.

    Args:
      directory: The folder that holds any number of caches.
      ingredients: Everything that the logits depend on, as JSON can hold it.
      image_shape: H, W, C if the images of the views are also stored; otherwise
        empty.

    Raises:
      InputError: If the folder's manifest is damaged or of another cache, or if
        the folder is not on a local disk, where files can be locked and mapped
        into memory.
    """
    if files.is_remote(directory):
      raise InputError(_NAME, directory, 'a folder on a local disk')
    text = json.dumps(ingredients, sort_keys=True)
    self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
    self._ingredients = ingredients
    self.path: str = os.path.join(directory, self._fingerprint)
    self.shape: tuple[int, ...] = ()
    self._image_shape = tuple(image_shape)
    self._whole: set[int] = set()
    self._damaged: set[str] = set()
    self._read_manifest()

  @property
  def ensemble_size(self) -> int:
    """The number of the teacher's members M. At least one view must exist."""
    return self.shape[1]

  def missing(self, views: Sequence[int]) -> list[int]:
    """Returns the views that must still be made, including damaged views.

    Raises:
      InputError: If the manifest is damaged or of another cache.
    """
    checksums = self._read_manifest()
    for view in views:
      if view not in self._whole and str(view) in checksums:
        if self._is_whole(view, checksums[str(view)]):
          self._whole.add(view)
    return [view for view in views if view not in self._whole]

  def read(self, view: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Reads rows of a view in a graph, once `missing` has checked the view.

    Args:
      view: The number of the view, a scalar integer.
      rows: The numbers of the examples, integers [b].

    Returns:
      float16 [b, M, K].
    """
    return self._read(0, tf.float16, self.shape, view, rows)

  def read_images(self, view: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Reads images of a view as `read` reads the logits.

    Args:
      view: The number of the view, a scalar integer.
      rows: The numbers of the examples, integers [b].

    Returns:
      uint16 [b, H, W, C].
    """
    shape = (self.shape[0], *self._image_shape)
    return self._read(1, tf.uint16, shape, view, rows)

  @property
  def has_images(self) -> bool:
    """Whether the images of the views are also stored."""
    return bool(self._image_shape)

  def _read(self, kind, dtype, shape, view, rows):
    """Reads rows of one of a view's files, which is mapped into memory.

    TensorFlow must know the names of mapped files when it builds the graph, so
    each view has a branch of its own.
    """

    def of(number):
      path = self._files(number)[kind]
      length = os.path.getsize(path) // dtype.size

      def read():
        with tf.device('CPU'):
          values = tf.raw_ops.ImmutableConst(
            dtype=dtype, shape=[length], memory_region_name=path
          )
          # NumPy pads the header of a file to a multiple of 64 bytes, so this
          # does not copy the array.
          values = tf.reshape(values[length - math.prod(shape) :], shape)
          return tf.gather(values, rows)

      return read

    numbers = sorted(self._whole)
    index = tf.searchsorted(numbers, [tf.cast(view, tf.int32)])[0]
    return tf.switch_case(index, list(map(of, numbers)))

  def alone(self) -> contextlib.AbstractContextManager[None]:
    """Keeps other processes from making views of this cache meanwhile.

    Raises:
      InputError: If the folder cannot be written.
    """
    return locks.lock_folder(self.path, _NAME, wait=True)

  def write(
    self, view: int, num_examples: int, parts: Iterable[Sequence[np.ndarray]]
  ) -> None:
    """Adds a view, whole or not at all; call it within `alone`.

    Args:
      view: The number of the view.
      num_examples: N.
      parts: The examples batch by batch: float16 [b, M, K], from `as_stored`,
        and, if images are stored, uint16 [b, H, W, C].

    Raises:
      InputError: If the logits are non-finite, since the teacher is broken.
    """
    checksums, paths = self._read_manifest(), self._files(view)
    with contextlib.ExitStack() as stack:
      opened = [stack.enter_context(files.replacing(path)) for path in paths]
      for number, arrays in enumerate(parts):
        arrays = list(map(np.asarray, arrays))
        _check_finite(arrays[0])
        for file, array in zip(opened, arrays, strict=True):
          if number == 0:
            _write_header(file, array.dtype, (num_examples, *array.shape[1:]))
          file.write(array.tobytes())
    arrays = [np.load(path, mmap_mode='r') for path in paths]
    self.shape = arrays[0].shape
    checksums[str(view)] = fingerprints.arrays_digest(*arrays)
    content = {
      'format': _FORMAT,
      'fingerprint': self._fingerprint,
      'made_from': self._ingredients,
      'shape': self.shape,
      'views': checksums,
    }
    text = json.dumps(content, indent=1)
    files.write_text(os.path.join(self.path, _MANIFEST), text)
    self._whole.add(view)

  def _files(self, view: int) -> list[str]:
    kinds = ('view', 'images') if self.has_images else ('view',)
    return [os.path.join(self.path, f'{k}_{view:04}.npy') for k in kinds]

  def _read_manifest(self) -> dict[str, str]:
    """Returns the views' checksums, and sets `shape`."""
    path = os.path.join(self.path, _MANIFEST)
    try:
      content = json.loads(files.read_text(path))
      made = content['format'], content['fingerprint']
      shape, checksums = tuple(map(int, content['shape'])), content['views']
      if made != (_FORMAT, self._fingerprint) or len(shape) != 3:
        raise ValueError('of another teacher, training set or augmentation')
    except (FileNotFoundError, NotADirectoryError):
      return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
      raise InputError(
        _NAME,
        path,
        f'the manifest of {self._fingerprint}',
        f'remove its folder, so that the cache is made again ({error!r})',
      ) from error
    self.shape = shape
    return checksums

  def _is_whole(self, view: int, checksum: str) -> bool:
    """Returns whether a view is as it was written; warns if it is damaged."""
    shapes = self.shape, (*self.shape[:1], *self._image_shape)
    paths = self._files(view)
    try:
      arrays = [
        np.load(path, mmap_mode='r', allow_pickle=False) for path in paths
      ]
      whole = fingerprints.mapped_digest(paths) == checksum and all(
        array.shape == shape
        and os.path.getsize(path) == array.offset + array.nbytes
        for path, array, shape in zip(paths, arrays, shapes)
      )
    except FileNotFoundError:
      return False
    except (OSError, ValueError, EOFError, AttributeError):
      whole = False
    if not whole and paths[0] not in self._damaged:
      self._damaged.add(paths[0])
      _logger.warning(
        f'{" or ".join(paths)} is damaged (it is not what was written) and '
        'will be made again'
      )
    return whole


def _check_finite(values: np.ndarray) -> None:
  """Raises an InputError for non-finite logits."""
  if not np.isfinite(values).all():
    raise InputError(
      'task.objective.teacher',
      'non-finite logits (inf or NaN)',
      'a teacher with finite logits',
      'train it again',
    )


def _write_header(file, dtype: np.dtype, shape: tuple[int, ...]) -> None:
  """Writes the header of a file with an array, as `np.save` does."""
  header = {
    'descr': np.lib.format.dtype_to_descr(dtype.newbyteorder('<')),
    'fortran_order': False,
    'shape': shape,
  }
  np.lib.format.write_array_header_1_0(file, header)


class FixedLogits:
  """Logits of unaugmented training examples, which every view shares.

  It is used like a `LogitsCache`.
  """

  has_images = False

  def __init__(self, logits: np.ndarray):
    """Takes logits [M, N, K] of the examples in the dataset's order."""
    with tf.device('CPU'):  # Only the input pipeline reads them.
      self._stored = as_stored(tf.constant(logits))

  @property
  def ensemble_size(self) -> int:
    """The number of the teacher's members M."""
    return int(self._stored.shape[1])  # pyright: ignore[reportArgumentType]

  def read(self, view: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns float16 [b, M, K] of rows [b], whatever the view."""
    del view
    return tf.gather(self._stored, rows)


# A teacher's logits that are not computed in the steps of training.
StoredLogits = LogitsCache | FixedLogits
