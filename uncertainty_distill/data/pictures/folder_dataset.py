"""A folder of pictures as a dataset, which decodes all files as a check."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent import futures

from uncertainty_distill.data import channel_moments
from uncertainty_distill.data.image_source import DatasetSpec
from uncertainty_distill.data.pictures import class_folders, picture_files
from uncertainty_distill.data.pictures.folder_source import (
  FolderSource,
  Picture,
)
from uncertainty_distill.errors import InputError
from uncertainty_distill.runtime import progress

import numpy as np

_logger = logging.getLogger(__name__)

# The number of pictures from which on a check shows its progress.
_MANY = 1000
# The number of pictures that threads are given at a time.
_CHUNK = 4096


class PictureFolder:
  """The pictures of a folder, split by split.

  Opening it decodes the training pictures. This finds damaged files before
  training, and gives the mean and the standard deviation of all pixels.

  Attributes:
    spec: The description of the images and labels.
  """

  def __init__(
    self,
    listing: class_folders.Listing,
    folder: str,
    image_size: Sequence[int],
    fit: str,
    skip_broken: bool,
  ):
    """Reads the training pictures.

    Args:
      listing: The pictures of the folder.
      folder: The path of the folder.
      image_size: The height and width of the result; () to keep the sizes of
        the pictures, which must then be equal.
      fit: How to bring pictures to this size; see
        `image_decoding.decode_image`.
      skip_broken: Whether to leave out files that cannot be read.

    Raises:
      InputError: If a file cannot be read and is not to be skipped, if no
        picture of a class can be read, or if the sizes of the pictures differ
        and no size is given.
    """
    self._listing, self._folder = listing, folder
    self._size, self._fit = tuple(image_size), fit
    self._skip_broken = skip_broken
    counts = channel_moments.LevelCounts()
    train = self._scan('train', counts)
    shape = train[0].shape
    _check_shapes(train, shape)
    mean, stddev = counts.moments()
    self.spec: DatasetSpec = DatasetSpec(
      folder, shape, listing.class_names, mean, stddev
    )
    self._train = FolderSource(self.spec, train, fit)
    self._trained = {picture.digest for picture in train}

  def split(self, name: str) -> FolderSource:
    """Returns the examples of `train` or `test`.

    Raises:
      InputError: For the same reasons as on opening, for test pictures.
    """
    if name == 'train':
      return self._train
    found = self._scan(name)
    _check_shapes(found, self.spec.image_shape)
    shared = [p.path for p in found if p.digest in self._trained]
    if shared:
      _logger.warning(
        f'{len(shared)} test pictures are also training pictures, such as '
        f'{shared[0]}'
      )
    return FolderSource(self.spec, found, self._fit)

  def _scan(
    self, split: str, counts: channel_moments.LevelCounts | None = None
  ) -> list[Picture]:
    """Decodes all pictures of a split once, and counts their levels."""
    examples = self._listing.splits[split]

    def examine(example: tuple[str, int]) -> Picture | str:
      path, label = example
      try:
        content = picture_files.read_content(path)
        image = picture_files.decode_content(content, self._size, self._fit)
      except picture_files.UnreadableError as error:
        return f'{path}: {error}'
      digest = hashlib.sha256(content).digest()
      in_graphs = picture_files.is_decoded_in_graphs(content)
      if counts:
        counts.add(image)
      return Picture(path, label, digest, in_graphs, image.shape)

    # Builds the decoder here, so that the threads do not build it.
    picture_files.decoder(self._size, self._fit)
    found, broken = [], []
    threads = futures.ThreadPoolExecutor(os.cpu_count())
    try:
      with progress.progress_bar(
        len(examples),
        f'checking {split} pictures',
        'picture',
        shown=len(examples) >= _MANY,
      ) as bar:
        # In parts, since each picture that waits for its turn takes memory.
        for start in range(0, len(examples), _CHUNK):
          for result in threads.map(examine, examples[start : start + _CHUNK]):
            (found if isinstance(result, Picture) else broken).append(result)
            bar.update(1)
    finally:
      threads.shutdown(cancel_futures=True)
    self._report(split, found, broken)
    return found

  def _report(
    self, split: str, found: Sequence[Picture], broken: Sequence[str]
  ) -> None:
    """Raises an InputError or warns about files that cannot be read."""
    if not broken:
      return
    total = len(self._listing.splits[split])
    shown = '; '.join(broken[:3]) + ('; ...' if len(broken) > 3 else '')
    line = f'{len(broken)} of {total} {split} pictures cannot be read: {shown}'
    names = self._listing.class_names
    missing = set(range(len(names))) - {picture.label for picture in found}
    remedy = (
      'Repair or remove them, or set `task.train_data.skip_broken` to true'
    )
    if not found:
      remedy = 'Without them, no picture is left'
    elif missing:
      remedy = f'Without them, no picture of {names[min(missing)]} is left'
    if missing or not found or not self._skip_broken:
      raise InputError(
        'dataset name',
        self._folder,
        'a folder of pictures that can be read',
        remedy,
        message=line,
      )
    _logger.warning(f'{line}. They are left out')


def _check_shapes(found: Sequence[Picture], shape: tuple[int, ...]) -> None:
  """Raises an InputError unless all pictures have the same given shape."""
  other = [picture for picture in found if picture.shape != shape]
  if other:
    height, width, _ = np.median([p.shape for p in found], 0).astype(int)
    raise InputError(
      'task.train_data.image_size',
      (),
      'a height and a width, because the pictures have different sizes',
      f'the median is [{height}, {width}]; {other[0].path} has '
      f'{list(other[0].shape[:2])}, others have {list(shape[:2])}',
    )
