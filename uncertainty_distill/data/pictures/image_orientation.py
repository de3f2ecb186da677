"""The orientation in a picture's EXIF data, read by TensorFlow operations.

Cameras store pictures as the sensor lay, and note in EXIF data how to turn
them. EXIF data are a small TIFF file in a JPEG's segment APP1 or in a PNG's
chunk eXIf. If they are missing or damaged, the picture counts as upright.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

_TAG = 0x0112
_SHORT = 3
_MAX_ENTRIES = 512
# Files often consist of pieces of 8 kB. Without a limit, a file of many tiny
# pieces would keep a server busy for minutes.
_MAX_PIECES = 4096


def read_number(
  content: tf.Tensor,
  at: tf.Tensor | int | Sequence[int],
  size: int,
  little_endian: tf.Tensor | bool = False,
) -> tf.Tensor:
  """Reads an unsigned number from a file.

  Args:
    content: The bytes of the file, uint8 [n].
    at: The position of the first byte, int64 of any shape [...].
    size: The number of bytes, at most 7.
    little_endian: Whether the first byte is the least significant one; bool or
      bool [].

  Returns:
    int64 [...]. Bytes outside the file count as zeros.
  """
  at = tf.cast(at, tf.int64)
  count = tf.size(content, tf.int64)
  # One more byte, which stands for all bytes outside the file.
  padded = tf.concat([content, [0]], 0)
  place = tf.expand_dims(at, -1) + tf.range(size, dtype=tf.int64)
  inside = (place >= 0) & (place < count)
  values = tf.gather(padded, tf.where(inside, place, count))
  ascending = 256 ** tf.range(size, dtype=tf.int64)
  weights = tf.where(little_endian, ascending, ascending[::-1])
  return tf.reduce_sum(tf.cast(values, tf.int64) * weights, -1)


def has_text(
  content: tf.Tensor, at: tf.Tensor | int, expected: bytes
) -> tf.Tensor:
  """Returns whether a text of at most 7 bytes is at a position: bool []."""
  found = read_number(content, at, len(expected))
  return tf.equal(found, int.from_bytes(expected, 'big'))


def of_jpeg(content: tf.Tensor) -> tf.Tensor:
  """Returns the orientation of a JPEG file uint8 [n]: int64 [], 1 to 8."""
  size = tf.size(content, tf.int64)

  def goes_on(at, exif):
    is_marker = tf.equal(read_number(content, at, 1), 0xFF)
    is_scan = tf.equal(read_number(content, at + 1, 1), 0xDA)
    return (exif < 0) & (at < size) & is_marker & tf.logical_not(is_scan)

  def step(at, exif):
    marker = read_number(content, at + 1, 1)
    is_exif = tf.equal(marker, 0xE1) & has_text(content, at + 4, b'Exif\0\0')
    length = tf.maximum(read_number(content, at + 2, 2), 2)
    # Bytes of 0xFF may come before a marker, as padding.
    following = tf.where(tf.equal(marker, 0xFF), at + 1, at + 2 + length)
    return following, tf.where(is_exif, at + 10, exif)

  start = tf.constant(2, tf.int64), tf.constant(-1, tf.int64)
  _, exif = tf.while_loop(goes_on, step, start, maximum_iterations=_MAX_PIECES)
  return _of_exif(content, exif)


def of_png(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Reads the chunks of a PNG file.

  Args:
    content: uint8 [n].

  Returns:
    The orientation, int64 [], 1 to 8; and whether the file has a chunk tRNS,
    which says what is transparent, bool [].
  """
  size = tf.size(content, tf.int64)

  def step(at, exif, has_transparency):
    exif = tf.where(has_text(content, at + 4, b'eXIf'), at + 8, exif)
    has_transparency |= has_text(content, at + 4, b'tRNS')
    return at + 12 + read_number(content, at, 4), exif, has_transparency

  start = tf.constant(8, tf.int64), tf.constant(-1, tf.int64), False
  _, exif, has_transparency = tf.while_loop(
    lambda at, *_: at < size, step, start, maximum_iterations=_MAX_PIECES
  )
  return _of_exif(content, exif), has_transparency


def _of_exif(content: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
  """Reads the orientation in EXIF data.

  Args:
    content: The bytes of the file, uint8 [n].
    start: The position of the EXIF data, int64 []; -1 if there are none.

  Returns:
    int64 [], 1 to 8; 1 if the data are missing or damaged.
  """
  little = has_text(content, start, b'II*\0')
  is_exif = (start >= 0) & (little | has_text(content, start, b'MM\0*'))
  directory = start + read_number(content, start + 4, 4, little)
  count = tf.minimum(read_number(content, directory, 2, little), _MAX_ENTRIES)
  entries = directory + 2 + 12 * tf.range(count)
  is_orientation = tf.equal(read_number(content, entries, 2, little), _TAG)
  is_orientation &= tf.equal(
    read_number(content, entries + 2, 2, little), _SHORT
  )
  values = read_number(content, entries + 8, 2, little)
  # The first one if there are several.
  value = tf.concat([values[is_orientation], [1]], 0)[0]
  return tf.where(is_exif & (value >= 1) & (value <= 8), value, 1)


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Turns a picture upright.

  Args:
    image: [h, w, c].
    orientation: 1 to 8 as EXIF 2.3, table 6, defines them; int64 [].

  Returns:
    [h, w, c], or [w, h, c] for 5 to 8.
  """

  def holds(*orientations):
    return tf.reduce_any(tf.equal(orientation, orientations))

  image = tf.cond(
    holds(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image
  )
  image = tf.cond(
    holds(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image
  )
  return tf.cond(
    holds(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image
  )
