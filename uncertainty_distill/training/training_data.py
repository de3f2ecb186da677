"""The training examples of a configuration."""

from __future__ import annotations

import dataclasses

from uncertainty_distill import configs, data

import numpy as np


def load_training(
  train_data: configs.TrainDataConfig,
) -> tuple[data.ImageDataset, data.ImageDataset]:
  """Returns the examples to train on, and those that are held out.

  Raises:
    InputError: If the dataset is not there or not as described, or if it has
      fewer examples than are asked for.
  """
  return _divide(_load(train_data), train_data)


def load_training_rows(
  train_data: configs.TrainDataConfig,
) -> tuple[data.ImageDataset, np.ndarray]:
  """Returns all examples of the dataset, and which of them to train on.

  The latter are row numbers, in the order of `load_training`.

  Raises:
    InputError: As `load_training` does.
  """
  whole = _load(train_data)
  numbers = np.arange(len(whole.labels))
  numbered = dataclasses.replace(whole, images=numbers, labels=numbers)
  return whole, _divide(numbered, train_data)[0].labels


def _load(train_data):
  return data.load_dataset(
    train_data.name, 'train', train_data.data_dir, tuple(train_data.classes)
  )


def _divide(dataset, train_data):
  """Returns what to train on of a whole dataset, and what is held out."""
  held_out = train_data.num_held_out(len(dataset.labels))
  return data.hold_out(dataset.take(train_data.num_examples), held_out)
