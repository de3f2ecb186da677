"""The training examples of a configuration."""

from __future__ import annotations

from uncertainty_distill import configs
from uncertainty_distill import data


def load_training(
    train_data: configs.TrainDataConfig,
) -> tuple[data.ImageDataset, data.ImageDataset]:
  """Returns the examples to train on, and those that are held out.

  Raises:
    InputError: If the dataset is not there or not as described, or if it has
      fewer examples than are asked for.
  """
  dataset = data.load_dataset(
      train_data.name, 'train', train_data.data_dir, tuple(train_data.classes)
  )
  held_out = train_data.num_held_out(len(dataset.labels))
  return data.hold_out(dataset.take(train_data.num_examples), held_out)
