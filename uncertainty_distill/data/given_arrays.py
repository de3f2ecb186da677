"""Arrays that Python code passed to this process, as a named dataset."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from uncertainty_distill.data import npz_file
from uncertainty_distill.data.image_source import ArraySource, ImageSource
from uncertainty_distill.errors import InputError

import numpy as np
import numpy.typing as npt

# The names of these datasets begin with this.
PREFIX = 'arrays:'

# Maps names to the sources of `train` and `test`.
KEPT: dict[str, Mapping[str, ImageSource]] = {}


def keep_arrays(
  train: tuple[npt.ArrayLike, npt.ArrayLike],
  test: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
  class_names: Sequence[str] = (),
) -> str:
  """Keeps arrays for this process as a dataset, and returns its name.

  The name depends only on the content: the same arrays have the same name in
  every process.

  Args:
    train: Images uint8 [N, H, W, 3], or gray [N, H, W], and labels [N] from 0
      to K - 1. The arrays must not change from here on.
    test: Images and labels to test on; None to test on a fifth of the training
      examples, drawn by `ImageSource.hold_out`, and not to train on them.
    class_names: K names; if empty, the labels as text.

  Raises:
    InputError: If the arrays are not as described.
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
    if not len(sources['test']):
      raise InputError(
        'examples',
        len(images),
        'at least 3 examples, of which a fifth becomes the test set',
        'or give test_examples',
      )
  content = [source.fingerprint for source in sources.values()]
  digest = hashlib.sha256(repr((content, spec.class_names)).encode())
  name = f'{PREFIX}{digest.hexdigest()}'
  spec = dataclasses.replace(spec, name=name)
  for source in sources.values():
    source.spec = spec
  KEPT[name] = sources
  return name
