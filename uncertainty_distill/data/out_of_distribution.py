"""Images of none of the classes that a model knows (out of distribution)."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.data import image_source, tfds_splits

import numpy as np

_TFDS = ('cifar10', 'cifar100', 'svhn_cropped')


def load_foreign(name: str, data_dir: str = '') -> image_source.ImageDataset:
  """Reads the test images of another dataset, without downloading it.

  Args:
    name: `cifar10`, `cifar100`, `svhn_cropped`, `digits` or the path of an
      `.npz` file.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.

  Returns:
    Its test split; of the specification only name, shape and number hold.

  Raises:
    InputError: There is no such dataset, or TFDS has not prepared it.
  """
  if name not in _TFDS:
    return image_source.load_dataset(name, 'test', data_dir)
  images, labels = tfds_splits.read_published(
    name, 'test', data_dir, download=False
  )
  spec = image_source.DatasetSpec(
    name, images.shape[1:], int(labels.max()) + 1, 0, len(labels), (), ()
  )
  return image_source.ImageDataset(spec, images, np.asarray(labels, np.int32))


def load_held_out(
  name: str, classes: tuple[int, ...], data_dir: str = ''
) -> image_source.ImageDataset:
  """Reads the test images of a dataset's other classes.

  Args:
    name: As for `load_dataset`.
    classes: Those that are not wanted.
    data_dir: As for `load_dataset`.

  Returns:
    The others, under their labels in the whole dataset.

  Raises:
    InputError: If the dataset is not there.
  """
  whole = image_source.load_dataset(name, 'test', data_dir)
  others = ~np.isin(whole.labels, classes)
  return dataclasses.replace(
    whole, images=whole.images[others], labels=whole.labels[others]
  )
