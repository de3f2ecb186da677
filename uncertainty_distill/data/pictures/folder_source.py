"""Labeled images in picture files, decoded when they are read."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill.data.image_source import DatasetSpec, ImageSource
from uncertainty_distill.data.pictures import image_decoding, picture_files
from uncertainty_distill.errors import InputError

import numpy as np
import tensorflow as tf

# The number of images that are decoded at once when Python code reads them.
_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class Picture:
  """A picture file that was decoded once, so that it is known to be intact.

  Attributes:
    path: The file.
    label: The label of its class.
    digest: The SHA-256 of its content.
    in_graphs: Whether it is a PNG or a JPEG, which need no Python to decode.
    shape: h, w, 3 of the picture, after it was brought to a size, if any.
  """

  path: str
  label: int
  digest: bytes
  in_graphs: bool
  shape: tuple[int, int, int]


class FolderSource(ImageSource):
  """Pictures that are decoded in the graph, by their row numbers.

  The memory that they need does not grow with their number, except for their
  paths, labels and checksums.

  Attributes:
    paths: The paths of the files, in the order of the examples.
  """

  def __init__(
    self, spec: DatasetSpec, found: Sequence[Picture], fit: str = 'resize'
  ):
    """Takes the paths of files, which must not change from here on.

    Args:
      spec: The description of the dataset that the pictures belong to.
      found: The pictures.
      fit: How to bring pictures to the size of the dataset; see
        `image_decoding.decode_image`.
    """
    super().__init__(spec, np.array([picture.label for picture in found]))
    self.paths: tuple[str, ...] = tuple(picture.path for picture in found)
    self._fit = fit
    self._digests = np.array([picture.digest for picture in found], 'V32')
    self._in_graphs = all(picture.in_graphs for picture in found)
    self._function: Callable | None = None

  def read(self, rows: tf.Tensor) -> tf.Tensor:
    if not self._in_graphs:
      self._check_host()
    with tf.init_scope(), tf.device('CPU'):
      # As bytes, since a name need not be UTF-8.
      paths = tf.constant([os.fsencode(path) for path in self.paths])
    return tf.map_fn(
      tf.autograph.experimental.do_not_convert(self._decode),
      tf.gather(paths, rows),
      fn_output_signature=tf.TensorSpec(self.spec.image_shape, tf.uint8),
    )

  def _decode(self, path: tf.Tensor) -> tf.Tensor:
    """Returns the picture in a file, uint8 [H, W, 3]."""
    content = tf.io.read_file(path)
    if not self._in_graphs:
      content = tf.numpy_function(_as_served, [content], tf.string)
      content = tf.ensure_shape(content, [])
    return image_decoding.decode_image(
      content, self.spec.image_shape[:2], self._fit
    )

  def _check_host(self) -> None:
    """Raises an InputError on hosts that do not run Python."""
    places = []
    for device in 'CPU', None:
      with tf.init_scope(), tf.device(device):
        place = tf.DeviceSpec.from_string(tf.zeros([]).device)
      places.append((place.job, place.task))
    if places[0] != places[1]:
      raise InputError(
        'dataset name',
        self.spec.name,
        'a folder that has only PNG and JPEG files if several hosts read it',
        'reading other files needs Python, which runs only on the first host: '
        'convert them',
      )

  def numpy(self, rows: np.ndarray | slice) -> np.ndarray:
    read = self._function = self._function or tf.function(
      self.read,
      input_signature=[tf.TensorSpec([None], tf.int32)],
      autograph=False,
    )
    wanted = np.arange(len(self), dtype=np.int32)[rows]
    images = np.empty([len(wanted), *self.spec.image_shape], np.uint8)
    for start in range(0, len(wanted), _CHUNK):
      chunk = slice(start, start + _CHUNK)
      images[chunk] = read(tf.constant(wanted[chunk])).numpy()
    return images

  def row_digests(self, rows: np.ndarray | slice) -> np.ndarray:
    prefix = self._fit.encode()
    return np.array(
      [
        hashlib.sha256(prefix + digest.tobytes()).digest()
        for digest in self._digests[rows]
      ],
      'V32',
    )

  def __getstate__(self) -> dict[str, Any]:
    # Processes that corrupt images get no graph, and make their own.
    return {**self.__dict__, '_function': None}


def _as_served(content: bytes | np.ndarray) -> bytes:
  """Returns a file as a PNG or a JPEG; a graph calls this Python function."""
  # When TensorFlow runs eagerly, it passes an array that holds an object.
  return picture_files.as_served(
    content if isinstance(content, bytes) else content.item()
  )
