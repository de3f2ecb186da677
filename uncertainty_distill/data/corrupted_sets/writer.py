"""Makes the files of a corrupted test set in parallel processes."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import multiprocessing
import os
from collections.abc import Sequence
from concurrent import futures
from typing import Any

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corrupted_sets import base, folders
from uncertainty_distill.data.image_source import ImageSource
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runtime import progress, signals

import cv2
import numpy as np
import PIL

_logger = logging.getLogger(__name__)

# Few enough that the processes end together, many enough that handing out tasks
# costs little.
_IMAGES_PER_TASK = 500

# The images, which `_prepare` gives each process.
_SOURCE: list[base.FormulaSet] = []


def write_corrupted_set(
  dataset: ImageSource,
  directory: str,
  kinds: Sequence[corruptions.Corruption],
  seed: int = 0,
  processes: int = 0,
  frost: str = 'texture',
  benchmark: str = '',
) -> None:
  """Writes the files of a corrupted test set, in the layout of CIFAR-10-C.

  The files hold what `corruptions.corrupt` makes of the test set. A file gets
  its name when it is complete. Files that are already complete are kept, so the
  same call continues where an earlier call was stopped.

  The processes import the main module, so code that it runs must be behind
  `if __name__ == '__main__'`, as always with `multiprocessing`.

  Args:
    dataset: The whole clean test set.
    directory: The folder to write to; created if it does not exist.
    kinds: The corruptions.
    seed: The seed of the random draws.
    processes: The number of processes; 0 for one per core.
    frost: The pictures of ice, `texture` or `photographs`.
    benchmark: The benchmark whose constants to use; see
      `corruptions.choose_benchmark`.

  Raises:
    InputError: If the folder holds other images or cannot be created, or if
      images of this size or with these arguments cannot be made.
    OSError: If a file cannot be written.
  """
  # Checked before any process starts.
  corruptions.check_image_shape(dataset.spec.image_shape)
  source = base.FormulaSet(dataset, seed, frost, benchmark)
  benchmark = corruptions.choose_benchmark(benchmark, dataset.spec.image_shape)
  folders.check_local(directory)
  if processes < 0:
    raise InputError('processes', processes, '1 or more, or 0 for all cores')
  shape = folders.images_shape(dataset)
  with locks.lock_folder(directory, 'output folder'):
    _claim(directory, dataset, seed, frost, benchmark)
    missing = [k for k in kinds if not _is_complete(directory, k, dataset)]
    complete = len(kinds) - len(missing)
    with progress.progress_bar(
      len(kinds) * shape[0], 'corrupting', 'image', complete * shape[0]
    ) as bar:
      if missing:
        _write_missing(source, directory, missing, processes, bar)


def _claim(
  directory: str, dataset: ImageSource, seed: int, frost: str, benchmark: str
) -> None:
  """Records which set a folder is for, and refuses a folder for another."""
  made = {
    'dataset': dataset.spec.name,
    'num_examples': len(dataset),
    'seed': seed,
    'frost': frost,
    'benchmark': benchmark,
    'fingerprint': dataset.fingerprint,
  }
  path = os.path.join(directory, folders.MADE_FILE)
  before = folders.read_made(directory)
  if before is None:
    _check_unclaimed(directory)
    versions = {
      'numpy': np.__version__,
      'opencv': cv2.__version__,
      'pillow': PIL.__version__,
    }
    files.write_text(path, json.dumps({**made, 'versions': versions}, indent=1))
  elif before == {**made, 'fingerprint': ''}:
    _logger.warning(
      f'{path} has no fingerprint of the images: the fingerprint of the '
      'current images is added'
    )
    noted = json.loads(files.read_text(path))
    files.write_text(path, json.dumps({**made, **noted}, indent=1))
  elif {**before, 'dataset': ''} != {**made, 'dataset': ''}:
    # The same images may have another path.
    _refuse(directory, before, made)
  path = os.path.join(directory, folders.LABELS_FILE)
  if os.path.exists(path):
    folders.check_labels(directory, dataset)
  else:
    buffer = io.BytesIO()
    np.save(buffer, folders.repeated_labels(dataset))
    files.write_bytes(path, buffer.getvalue())


def _check_unclaimed(directory: str) -> None:
  """Raises an InputError if a folder without `made.json` holds images."""
  arrays = sorted(f for f in os.listdir(directory) if f.endswith('.npy'))
  if arrays:
    raise InputError(
      'output folder',
      directory,
      'a new or empty folder, or one that this command made',
      message=f'The output folder {directory} holds {arrays[0]}, which this '
      'command did not make',
      hint='choose another folder',
    )


def _refuse(
  directory: str, before: dict[str, Any], made: dict[str, Any]
) -> None:
  """Raises the InputError for a folder that was begun for another set."""
  name = made['dataset']
  if before == {**made, 'fingerprint': before['fingerprint']}:
    expected = f'a folder for the current images of {name}'
    found = f'other images with the same name, {name}'
  else:
    expected = f'a folder for {made}'
    found = f'{before}, not for {made}'
  raise InputError(
    'output folder',
    directory,
    expected,
    'choose another folder',
    message=f'The output folder {directory} was begun for {found}',
  )


def _is_complete(
  directory: str, kind: corruptions.Corruption, dataset: ImageSource
) -> bool:
  """Returns whether the file of a corruption exists and is complete."""
  try:
    folders.open_images(directory, kind, dataset)
  except InputError:
    return False
  return True


def _write_missing(source, directory, missing, processes, bar) -> None:
  """Writes the files of corruptions, one after the other."""
  # Not `fork`: the libraries of this process may have threads, and a forked
  # process would inherit locks that no thread there ever releases.
  pool = futures.ProcessPoolExecutor(
    processes or os.cpu_count(),
    multiprocessing.get_context('spawn'),
    _prepare,
    (source,),
  )
  try:
    for kind in missing:
      bar.set_postfix_str(kind.value, refresh=False)
      _write_file(pool, source.dataset, directory, kind, bar)
  finally:
    pool.shutdown(wait=True, cancel_futures=True)
    # Also removes what a killed process has left of other corruptions.
    for kind in corruptions.Corruption:
      with contextlib.suppress(OSError):
        os.remove(_partial_path(directory, kind))


def _partial_path(directory: str, kind: corruptions.Corruption) -> str:
  """Returns the path of a corruption's file until the file is complete."""
  return os.path.join(directory, f'.{kind.value}.partial')


def _write_file(pool, dataset, directory, kind, bar) -> None:
  """Writes the file of a corruption."""
  partial = _partial_path(directory, kind)
  try:
    offset = np.lib.format.open_memmap(
      partial, 'w+', np.uint8, folders.images_shape(dataset)
    ).offset
    # The first task starts the processes. Only this process handles signals,
    # and it ends the others.
    with signals.block():
      tasks = [
        pool.submit(_write_rows, partial, offset, shift, start)
        for shift in corruptions.shifts([kind])
        for start in range(0, len(dataset), _IMAGES_PER_TASK)
      ]
    for task in futures.as_completed(tasks):
      bar.update(task.result())
    with open(partial, 'rb') as file:
      os.fsync(file.fileno())
  except OSError as error:  # For a full disk, Python names no file.
    raise OSError(error.errno, error.strerror, partial) from error
  os.replace(partial, folders.images_path(directory, kind))


def _prepare(source: base.FormulaSet) -> None:
  """Gives a new process what its tasks have in common."""
  _SOURCE.append(source)
  # Each process has a core of its own.
  cv2.setNumThreads(1)
  signals.end_with_parent()


def _write_rows(
  path: str, offset: int, shift: corruptions.Shift, start: int
) -> int:
  """Corrupts some examples, and writes them where they belong.

  Args:
    path: The partial file.
    offset: The number of bytes before its first row.
    shift: The corruption and its severity.
    start: The row number of the first example.

  Returns:
    The number of examples.
  """
  (source,) = _SOURCE
  dataset = source.dataset
  rows = np.arange(start, min(start + _IMAGES_PER_TASK, len(dataset)))
  corrupted = source.images(shift, rows)
  first = (shift.severity - 1) * len(dataset) + start
  # Not mapped into memory, because a full disk would then kill the process.
  with open(path, 'r+b') as file:
    file.seek(offset + first * math.prod(dataset.spec.image_shape))
    file.write(corrupted.tobytes())
  return len(rows)
