"""Labeled images that are read by their row numbers.

Everything that trains, evaluates or exports takes an `ImageSource`. Batches,
augmented views, exact resume, held-out examples and a teacher's stored logits
are all functions of row numbers alone, so a source may keep its images
anywhere as long as it reads any row at any time. `ArraySource` keeps its images
in memory, and `Subset` is a part of another source. A source that decodes
files, such as a folder of pictures, only needs the same two ways to read.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uncertainty_distill.errors import InputError

import numpy as np
import numpy.typing as npt

# Processes that only corrupt images work without TensorFlow, which takes
# seconds to import.
if TYPE_CHECKING:
  import tensorflow as tf

# The number of images in memory at once while a fingerprint is computed.
_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
  """The description of the images and labels of a dataset.

  Attributes:
    name: A known dataset's name, or the path of a file.
    image_shape: H, W, C.
    class_names: K names, in the order of the labels 0 to K - 1.
    mean: The mean of each channel of the training images, in 0..1.
    stddev: The standard deviation of each channel, in the same unit.
  """

  name: str
  image_shape: tuple[int, int, int]
  class_names: tuple[str, ...]
  mean: tuple[float, ...]
  stddev: tuple[float, ...]

  @property
  def num_classes(self) -> int:
    """The number of classes K."""
    return len(self.class_names)

  def of_classes(self, classes: Sequence[int]) -> DatasetSpec:
    """Returns the description for some of the classes, in the given order."""
    names = tuple(self.class_names[index] for index in classes)
    return dataclasses.replace(self, class_names=names)

  def of_size(self, image_size: Sequence[int]) -> DatasetSpec:
    """Returns the description of the same images made smaller.

    Args:
      image_size: The new height and width.

    Raises:
      InputError: If the height or the width is less than 1 or more than that
        of the images.
    """
    *old, channels = self.image_shape
    if len(image_size) != 2 or not all(
      1 <= new <= side for new, side in zip(image_size, old, strict=True)
    ):
      raise InputError(
        'image_size',
        tuple(image_size),
        f'a height from 1 to {old[0]} and a width from 1 to {old[1]}, or () '
        'to leave the images as they are',
      )
    return dataclasses.replace(self, image_shape=(*image_size, channels))


class ImageSource(abc.ABC):
  """N labeled images.

  Attributes:
    spec: The description of the dataset that the images belong to.
    labels: int32 [N], from 0 to K - 1, or -1 for no label; read-only.
  """

  def __init__(self, spec: DatasetSpec, labels: np.ndarray):
    """Stores what is known about the images before any is read.

    Args:
      spec: The description of the dataset that the images belong to.
      labels: Integers [N].
    """
    self.spec = spec
    self.labels: npt.NDArray[np.int32] = np.array(labels, np.int32)
    self.labels.flags.writeable = False

  def __len__(self) -> int:
    return len(self.labels)

  @abc.abstractmethod
  def read(self, rows: tf.Tensor) -> tf.Tensor:
    """Reads images in a graph, such as the graph of a `tf.data` pipeline.

    Args:
      rows: Row numbers, int32 [b].

    Returns:
      uint8 [b, H, W, C].
    """

  @abc.abstractmethod
  def numpy(self, rows: np.ndarray | slice) -> np.ndarray:
    """Reads images in Python.

    Args:
      rows: Row numbers [b], or a slice of them.

    Returns:
      uint8 [b, H, W, C]; do not write to the array.
    """

  def row_digests(self, rows: np.ndarray | slice) -> np.ndarray | None:
    """Returns the checksums of images, if known without decoding them.

    Args:
      rows: Row numbers [b], or a slice of them.

    Returns:
      SHA-256 hashes as bytes [b]; None if they are not known.
    """
    del rows
    return None

  @property
  def images(self) -> np.ndarray:
    """All images in memory, uint8 [N, H, W, C]; do not write to the array."""
    return self.numpy(slice(None))

  @functools.cached_property
  def fingerprint(self) -> str:
    """The SHA-256 of all images and labels, computed once.

    Teacher caches are identified by it. It depends on the arrays' types, shapes
    and bytes. For files, it depends on their contents, not on their paths.
    """
    digest = hashlib.sha256()
    shape = len(self), *self.spec.image_shape
    digests = self.row_digests(slice(None))
    if digests is None:
      digest.update(f'|u1 {shape}\n'.encode())
      for start in range(0, len(self), _CHUNK):
        chunk = self.numpy(slice(start, start + _CHUNK))
        digest.update(np.ascontiguousarray(chunk))  # pyright: ignore[reportArgumentType]
    else:
      digest.update(f'files {shape}\n'.encode())
      digest.update(digests.tobytes())
    digest.update(f'<i4 {self.labels.shape}\n'.encode())
    digest.update(self.labels.astype('<i4'))  # pyright: ignore[reportArgumentType]
    return digest.hexdigest()

  def take(self, num_examples: int) -> ImageSource:
    """Returns the first `num_examples` examples, or all of them for 0.

    Raises:
      InputError: If there are fewer examples.
    """
    if not 0 <= num_examples <= len(self):
      raise InputError('num_examples', num_examples, f'0 (all) to {len(self)}')
    return Subset(self, np.arange(num_examples)) if num_examples else self

  def of_classes(self, classes: Sequence[int]) -> ImageSource:
    """Returns the examples of some classes.

    Args:
      classes: Distinct labels. They become 0, 1, ... in this order.
    """
    renumbered = np.full(self.spec.num_classes, -1)
    renumbered[list(classes)] = np.arange(len(classes))
    labels = renumbered[self.labels]
    rows = np.flatnonzero(labels >= 0)
    return Subset(self, rows, labels[rows], self.spec.of_classes(classes))

  def of_other_classes(self, classes: Sequence[int]) -> ImageSource:
    """Returns the examples of all other classes, with unchanged labels."""
    return Subset(self, np.flatnonzero(~np.isin(self.labels, classes)))

  def resized(self, image_size: Sequence[int]) -> ArraySource:
    """Returns the images, made smaller in memory.

    A new pixel is the mean of the area that it covers, rounded to a level
    (OpenCV's INTER_AREA).

    Args:
      image_size: The new height and width, at most those of the images.

    Raises:
      InputError: If the height or the width is out of range.
    """
    # Imported here, because most datasets do not resize their images.
    import cv2

    spec = self.spec.of_size(image_size)
    height, width = image_size
    images = np.empty((len(self), *spec.image_shape), np.uint8)
    for new, image in zip(images, self.images, strict=True):
      cv2.resize(image, (width, height), new, interpolation=cv2.INTER_AREA)
    return ArraySource(spec, images, self.labels)

  def hold_out(self, num_examples: int) -> tuple[Subset, Subset]:
    """Splits the examples into a part to train on and a held-out part.

    The held-out examples are the first ones of the permutation of N examples
    that NumPy's `RandomState(0)` draws, which is the same in every version.
    They depend on N alone: every run holds out the same examples, and a smaller
    held-out set is a part of a larger one.

    Args:
      num_examples: How many to hold out, from 0 to N.

    Returns:
      The examples to train on and the held-out examples, both in the order of
      their row numbers.
    """
    order = np.random.RandomState(0).permutation(len(self))
    held_out = np.sort(order[:num_examples])
    training = np.sort(order[num_examples:])
    return Subset(self, training), Subset(self, held_out)


class ArraySource(ImageSource):
  """Images in memory."""

  def __init__(self, spec: DatasetSpec, images: np.ndarray, labels: np.ndarray):
    """Wraps arrays, which must not change from here on.

    Args:
      spec: The description of the dataset that the images belong to.
      images: uint8 [N, H, W, C].
      labels: Integers [N].
    """
    super().__init__(spec, labels)
    self._images = images.view()
    self._images.flags.writeable = False
    # Maps the name of a host's CPU to the images in TensorFlow's memory there.
    self._tensors: dict[str, tf.Tensor] = {}

  def read(self, rows: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    # Makes the tensor outside the graph. Otherwise it would become a part of
    # the graph, which has at most 2 GB. The tensor is on the host of the
    # pipeline that is being built, which may be a different host than this one.
    with tf.init_scope(), tf.device('CPU'):
      host = tf.zeros([]).device
      if host not in self._tensors:
        self._tensors[host] = tf.constant(self._images)
    return tf.gather(self._tensors[host], rows)

  def numpy(self, rows: np.ndarray | slice) -> np.ndarray:
    return self._images[rows]


class Subset(ImageSource):
  """Some rows of another source.

  Attributes:
    source: The other source.
    rows: The row numbers in the other source, int32 [N].
  """

  def __init__(
    self,
    source: ImageSource,
    rows: np.ndarray,
    labels: np.ndarray | None = None,
    spec: DatasetSpec | None = None,
  ):
    """Chooses rows.

    Args:
      source: The other source.
      rows: The row numbers in the other source, integers [N].
      labels: New labels, integers [N]; None for the source's own.
      spec: The description for the new labels; None for the source's own.
    """
    super().__init__(
      spec or source.spec, source.labels[rows] if labels is None else labels
    )
    self.source = source
    self.rows: npt.NDArray[np.int32] = np.asarray(rows, np.int32)

  def read(self, rows: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return self.source.read(tf.gather(self.rows, rows))

  def numpy(self, rows: np.ndarray | slice) -> np.ndarray:
    return self.source.numpy(self.rows[rows])

  def row_digests(self, rows: np.ndarray | slice) -> np.ndarray | None:
    return self.source.row_digests(self.rows[rows])

  @functools.cached_property
  def fingerprint(self) -> str:
    # Of all rows the source may know it, so that no pixels need be read. That
    # of several sources is made in another way.
    if (
      not isinstance(self.source, Concatenation)
      and np.array_equal(self.rows, np.arange(len(self.source)))
      and np.array_equal(self.labels, self.source.labels)
    ):
      return self.source.fingerprint
    return super().fingerprint


class Concatenation(ImageSource):
  """The rows of one source, followed by the rows of another.

  The images of both have the same shape.
  """

  def __init__(self, first: ImageSource, second: ImageSource):
    """Joins two sources; `spec` is that of the first."""
    super().__init__(first.spec, np.concatenate([first.labels, second.labels]))
    self._parts = first, second

  def read(self, rows: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    first, second = self._parts
    is_second = tf.cast(rows >= len(first), tf.int32)
    places = tf.dynamic_partition(tf.range(tf.size(rows)), is_second, 2)
    parts = tf.dynamic_partition(rows, is_second, 2)
    images = tf.dynamic_stitch(
      places, [first.read(parts[0]), second.read(parts[1] - len(first))]
    )
    return tf.ensure_shape(images, [rows.shape[0], *self.spec.image_shape])

  def numpy(self, rows: np.ndarray | slice) -> np.ndarray:
    first, second = self._parts
    wanted = np.arange(len(self))[rows]
    is_second = wanted >= len(first)
    images = np.empty([len(wanted), *self.spec.image_shape], np.uint8)
    images[~is_second] = first.numpy(wanted[~is_second])
    images[is_second] = second.numpy(wanted[is_second] - len(first))
    return images

  @functools.cached_property
  def fingerprint(self) -> str:
    """The SHA-256 of the fingerprints of both sources."""
    both = '+'.join(part.fingerprint for part in self._parts)
    return hashlib.sha256(both.encode()).hexdigest()
