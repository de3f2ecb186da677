"""Makes the files of a corrupted test set, in parallel processes."""

from __future__ import annotations

import contextlib
import io
import json
import math
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent import futures

from uncertainty_distill.data import corruptions
from uncertainty_distill.data.corrupted_sets import folders
from uncertainty_distill.data.image_source import ImageDataset
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runtime import progress, signals

import cv2
import numpy as np
import PIL

# Few enough that processes end together, enough that handing them out is cheap.
_IMAGES_PER_TASK = 500

# In each process, from `_prepare`: the test images and the seed.
_WORK: dict[str, object] = {}


def write_corrupted_set(
  dataset: ImageDataset,
  directory: str,
  kinds: Sequence[corruptions.Corruption],
  seed: int = 0,
  processes: int = 0,
) -> None:
  """Writes the files of a corrupted test set, in the layout of CIFAR-10-C.

  They hold what `corruptions.corrupt` makes of the test set. A file appears
  under its name when it is complete; those that are there already are kept, so
  that the same call goes on where one was stopped.

  The processes import the main module: what it does must be behind
  `if __name__ == '__main__'`, as always with `multiprocessing`.

  Args:
    dataset: The whole clean test set.
    directory: Where to; made if there is none.
    kinds: The corruptions.
    seed: Of the random draws.
    processes: How many; 0 for one a core.

  Raises:
    InputError: The folder holds other files, it cannot be written, its disk is
      full, or images of this size or by this seed cannot be corrupted.
  """
  # Nothing to corrupt; but the arguments are checked, here and not over there.
  corruptions.corrupt(dataset.images[:0], corruptions.CLEAN, seed)
  folders.check_local(directory)
  if processes < 0:
    raise InputError('processes', processes, '1 or more, or 0 for all cores')
  shape = folders.images_shape(dataset)
  with locks.lock_folder(directory, 'output folder'):
    _claim(directory, dataset, seed)
    missing = [k for k in kinds if not _is_complete(directory, k, dataset)]
    complete = len(kinds) - len(missing)
    with progress.progress_bar(
      len(kinds) * shape[0], 'corrupting', 'image', complete * shape[0]
    ) as bar:
      if missing:
        _write_missing(dataset, directory, missing, seed, processes, bar)


def _claim(directory: str, dataset: ImageDataset, seed: int) -> None:
  """Makes a folder this set's own, unless it is another's."""
  made = {
    'dataset': dataset.spec.name,
    'num_examples': dataset.spec.num_test,
    'seed': seed,
  }
  before = folders.read_made(directory)
  if before is None:
    strangers = sorted(f for f in os.listdir(directory) if f.endswith('.npy'))
    if strangers:
      raise InputError(
        'output folder',
        directory,
        'one without files from elsewhere',
        f'{strangers[0]} was not made by this command',
      )
    versions = {
      'numpy': np.__version__,
      'opencv': cv2.__version__,
      'pillow': PIL.__version__,
    }
    text = json.dumps({**made, 'versions': versions}, indent=1)
    path = os.path.join(directory, folders.MADE_FILE)
    files.write_text(path, text)
  elif before != made:
    raise InputError(
      'output folder',
      directory,
      f'one begun with {made}',
      f'it was begun with {before}; take another folder',
    )
  path = os.path.join(directory, folders.LABELS_FILE)
  if os.path.exists(path):
    folders.check_labels(directory, dataset)
  else:
    buffer = io.BytesIO()
    np.save(buffer, folders.repeated_labels(dataset))
    files.write_bytes(path, buffer.getvalue())


def _is_complete(
  directory: str, kind: corruptions.Corruption, dataset: ImageDataset
) -> bool:
  """Whether a corruption's file is there, whole, of its shape and type."""
  try:
    folders.open_images(directory, kind, dataset)
  except InputError:
    return False
  return True


def _write_missing(dataset, directory, missing, seed, processes, bar) -> None:
  """Writes the files of corruptions, one after the other."""
  partial = {
    kind: os.path.join(directory, f'.{kind.value}.partial')
    for kind in corruptions.Corruption
  }
  shape = folders.images_shape(dataset)
  header = _header(shape)
  # Not `fork`: the libraries of this process may have threads, whose locks a
  # forked process would inherit as they are, for good.
  pool = futures.ProcessPoolExecutor(
    processes or os.cpu_count(),
    multiprocessing.get_context('spawn'),
    _prepare,
    (dataset.images, seed),
  )
  try:
    for kind in missing:
      _write(partial[kind], b'')
    # It is the first process that answers signals, by ending the others; these
    # are started by the first task.
    with signals.block():
      tasks = {
        pool.submit(_write_rows, partial[kind], len(header), shift, start): kind
        for kind in missing
        for shift in corruptions.shifts([kind])
        for start in range(0, dataset.spec.num_test, _IMAGES_PER_TASK)
      }
    left = dict.fromkeys(missing, len(tasks) // len(missing))
    for task in futures.as_completed(tasks):
      kind = tasks[task]
      bar.set_postfix_str(kind.value, refresh=False)
      bar.update(task.result())
      left[kind] -= 1
      if not left[kind]:
        _finish(partial[kind], folders.images_path(directory, kind), header)
  finally:
    pool.shutdown(wait=True, cancel_futures=True)
    # Those, too, that a killed process has left of other corruptions.
    for path in partial.values():
      with contextlib.suppress(OSError):
        os.remove(path)


def _prepare(images: np.ndarray, seed: int) -> None:
  """Gives a new process what its tasks have in common."""
  _WORK.update(images=images, seed=seed)
  # There are as many processes as cores.
  cv2.setNumThreads(1)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends this process once the first one is gone, killed for example."""
  multiprocessing.parent_process().join()
  os._exit(1)


def _write_rows(
  path: str, offset: int, shift: corruptions.Shift, start: int
) -> int:
  """Makes some examples under a shift, and writes them where they belong.

  Args:
    path: Of the partial file.
    offset: Where its rows begin, in bytes.
    shift: What to do to the examples.
    start: The first example.

  Returns:
    Their number.
  """
  images = _WORK['images']
  rows = images[start : start + _IMAGES_PER_TASK]
  indices = np.arange(start, start + len(rows))
  corrupted = corruptions.corrupt(rows, shift, _WORK['seed'], indices)
  first = (shift.severity - 1) * len(images) + start
  _write(path, corrupted.tobytes(), offset + first * math.prod(rows.shape[1:]))
  return len(rows)


def _finish(partial: str, path: str, header: bytes) -> None:
  """Makes a partial file whole, and gives it its name."""
  # Last, so that what is not complete is no array to anyone.
  _write(partial, header)
  with open(partial, 'rb') as file:
    os.fsync(file.fileno())
  os.replace(partial, path)


def _header(shape: tuple[int, ...]) -> bytes:
  """Returns the first bytes of a .npy file of a uint8 array."""
  buffer = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    buffer, {'descr': '|u1', 'fortran_order': False, 'shape': shape}
  )
  return buffer.getvalue()


def _write(path: str, content: bytes, offset: int = 0) -> None:
  """Writes at a place in a file, which is made if there is none."""
  with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), 'wb') as file:
    file.seek(offset)
    file.write(content)
