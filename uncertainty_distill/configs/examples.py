"""Which examples to train and to test on."""

from __future__ import annotations

import dataclasses

from official.modeling import hyperparams


@dataclasses.dataclass
class TrainDataConfig(hyperparams.Config):
  """Training examples and their augmentation.

  Attributes:
    name: `cifar10`, `cifar100`, `digits`, or the path of an `.npz` file.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    classes: Train and test on these only, () for all; they are numbered anew,
      from 0 in this order. The test images of the others are then what
      evaluation takes as out of distribution.
    global_batch_size: Distinct examples in a step over all replicas; each is
      seen by every member.
    num_examples: Use only the first so many; 0 for all.
    crop_padding: Pixels on each side before a random crop; 0 for none.
    horizontal_flip: Whether to mirror half of the images.
    views: Epoch n trains on view n mod views, a view being one augmentation of
      every example; 0 for a new one in each epoch. Derived with a teacher
      cache: as many as there are epochs.
    augmentation_seed: Of the views; -1 for the run's own seed. Derived with a
      teacher cache: 0, so that runs of any seed can share it.
  """

  name: str = 'cifar10'
  data_dir: str = ''
  classes: tuple[int, ...] = ()
  global_batch_size: int = 128
  num_examples: int = 0
  crop_padding: int = 2
  horizontal_flip: bool = True
  views: int = 0
  augmentation_seed: int = -1


@dataclasses.dataclass
class ValidationDataConfig(hyperparams.Config):
  """Test examples, of the dataset that `train_data` names.

  They never choose a checkpoint: it is the last one that counts.

  Attributes:
    global_batch_size: Examples in a step over all replicas.
    num_examples: Use only the first so many; 0 for all.
  """

  global_batch_size: int = 500
  num_examples: int = 0
