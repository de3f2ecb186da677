"""Arrays that Python code gave this process, as a dataset with a name."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from uncertainty_distill.data import npz_file
from uncertainty_distill.data.image_source import ArraySource, ImageSource

import numpy as np
import numpy.typing as npt

# What their names begin with.
PREFIX = 'arrays:'

# From names to the sources of `train` and `test`.
_KEPT: dict[str, Mapping[str, ImageSource]] = {}


def is_kept(name: str) -> bool:
  """Returns whether arrays of this name were given to this process."""
  return name in _KEPT


def kept(name: str) -> Mapping[str, ImageSource]:
  """Returns the sources of `train` and `test` of arrays that were given."""
  return _KEPT[name]


def keep_arrays(
  train: tuple[npt.ArrayLike, npt.ArrayLike],
  test: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
  class_names: Sequence[str] = (),
) -> str:
  """Keeps arrays for this process as a dataset, and returns its name.

  The name is that of the content: the same arrays have it in every process.

  Args:
    train: Images uint8 [N, H, W, 3], or gray [N, H, W], and labels [N] from 0
      to K - 1, which must not change from here on.
    test: The same to test on; None for a fifth of the training examples, drawn
      by `ImageSource.hold_out`, which are then not trained on.
    class_names: K names; the labels as text if empty.

  Raises:
    InputError: If the arrays are not as above.
  """
  images, labels = map(np.asarray, train)
  test_images, test_labels = map(np.asarray, train if test is None else test)
  arrays = {
    'train_images': images,
    'train_labels': labels,
    'test_images': test_images,
    'test_labels': test_labels,
  }
  if len(class_names):
    arrays['class_names'] = np.asarray(class_names)
  spec = npz_file.describe('the arrays', arrays)
  sources: dict[str, ImageSource] = {
    split: ArraySource(
      spec, arrays[f'{split}_images'], arrays[f'{split}_labels']
    )
    for split in ('train', 'test')
  }
  if test is None:
    parts = sources['train'].hold_out(round(len(images) / 5))
    sources = dict(zip(('train', 'test'), parts))
  content = [source.fingerprint for source in sources.values()]
  digest = hashlib.sha256(repr((content, spec.class_names)).encode())
  name = f'{PREFIX}{digest.hexdigest()}'
  spec = dataclasses.replace(spec, name=name)
  for source in sources.values():
    source.spec = spec
  _KEPT[name] = sources
  return name
