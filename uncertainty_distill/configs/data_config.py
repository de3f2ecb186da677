"""Which examples to train and to test on."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.errors import InputError

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
    image_size: The height and width to which all images are made smaller, by
      averaging areas; () for the images as they are.
    global_batch_size: Distinct examples in a step over all replicas; each is
      seen by every member.
    num_examples: Use only the first so many; 0 for all.
    test_from_training: Test on the last so many training examples, which are
      then not trained on, in place of the test set: to choose values of a
      configuration without looking at it. 0 for the test set.
    held_out_fraction: The share of these that training leaves out. They are
      the same in every run on this dataset (`data.ImageSource.hold_out`), and
      those of a smaller share are a part of those of a larger one.
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
  image_size: tuple[int, ...] = ()
  global_batch_size: int = 128
  num_examples: int = 0
  test_from_training: int = 0
  held_out_fraction: float = 0.0
  crop_padding: int = 2
  horizontal_flip: bool = True
  views: int = 0
  augmentation_seed: int = -1

  def num_held_out(self, available: int) -> int:
    """Returns how many examples training leaves out.

    Args:
      available: Training examples of the dataset, of `classes`.

    Raises:
      InputError: If none would be left on either side.
    """
    used = self.num_examples or available
    held_out = round(self.held_out_fraction * used)
    if self.held_out_fraction and not 0 < held_out < used:
      raise InputError(
        'held_out_fraction',
        self.held_out_fraction,
        f'a share of the {used} training examples that leaves at least one '
        'to train on and one to hold out',
      )
    return held_out


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
