"""Training examples that are left out of training, to choose by."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.data.image_source import ImageDataset

import numpy as np


def hold_out(
  dataset: ImageDataset, num_examples: int
) -> tuple[ImageDataset, ImageDataset]:
  """Divides the training examples of a dataset for good.

  Those held out are the first ones of the permutation that NumPy's
  `RandomState(0)`, the same in every version, draws of the N examples. They
  depend on nothing but N: every run leaves out the same ones, and fewer of them
  are a part of more.

  Args:
    dataset: N training examples.
    num_examples: How many to hold out, 0 to N.

  Returns:
    The examples to train on and those held out, each in the dataset's order.
  """
  if not num_examples:
    return dataset, dataclasses.replace(
      dataset, images=dataset.images[:0], labels=dataset.labels[:0]
    )
  chosen = np.zeros(len(dataset.labels), bool)
  order = np.random.RandomState(0).permutation(len(chosen))
  chosen[order[:num_examples]] = True
  training, held_out = (
    dataclasses.replace(
      dataset, images=dataset.images[part], labels=dataset.labels[part]
    )
    for part in (~chosen, chosen)
  )
  return training, held_out
