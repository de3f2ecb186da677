"""Which examples to train and to test on."""

from __future__ import annotations

import dataclasses

from uncertainty_distill import models, ranges
from uncertainty_distill.errors import InputError

# The last one is there to be out of distribution alone.
_KNOWN = ('', *ranges.DATASETS, 'svhn_cropped')


# Instead of a place, the training examples that `num_examples` leaves out.
REST = 'rest'


def is_path(name: str) -> bool:
  """Returns whether the name of a dataset is the path of a user's own."""
  return name not in _KNOWN and not name.startswith(('tfds:', 'arrays:'))


@dataclasses.dataclass
class TrainDataConfig(models.Settings):
  """Training examples and their augmentation.

  Attributes:
    name: `cifar10`, `cifar100`, `digits`, `tfds:NAME` or `tfds:NAME/CONFIG` for
      any image classification dataset of TFDS, or the path of an `.npz` file or
      of a folder of pictures, `PATH/train/CLASS/` and `PATH/test/CLASS/` or
      `PATH/CLASS/` (docs/images.md).
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    classes: The classes to train and test on, () for all; they are renumbered
      from 0 in this order. The test images of the others are then what
      evaluation takes as out of distribution.
    train_split: The split of a `tfds:` dataset to train on, such as
      `train[:80%]`; empty for `train`.
    test_split: The split of a `tfds:` dataset to test on; empty for `test`, or
      else `validation`.
    image_size: The height and width to which all images are made smaller, by
      averaging areas; () for the images as they are. Those of folders and of
      `tfds:` get this size as they do in a served model, and need it where
      their sizes differ.
    image_fit: How those of folders and of `tfds:` get it: `resize` stretches
      them, `crop` takes the largest middle part of these proportions, `pad`
      adds black on two sides.
    test_fraction: The share of each class that becomes the test set, always the
      same pictures, where a folder has none; 0 where it has.
    skip_broken: Whether to leave out the pictures in a folder that cannot be
      read, with a line that says how many; if false, they are an error.
    image_cache: A folder on disk that keeps the decoded images of folders and
      of `tfds:`, those without labels among them, for this and later runs; rows
      are mapped into memory as they are read. Empty to decode pictures whenever
      they are used, and to have images of TFDS in memory.
    global_batch_size: Distinct examples in a step over all replicas.
    members_per_example: How many of the members E see each example in a step:
      from 1, at the cost of one network, as BatchEnsemble was published (Wen et
      al., 2020, section 3.1), to E; 0 for all of them. Below E, only the mean
      of the members' own metrics is shown while training.
    num_examples: Use only this many examples, the first ones; 0 for all.
    test_from_training: Test on this many training examples, the last ones,
      which are then not trained on, in place of the test set: to choose values
      of a configuration without looking at it. 0 for the test set.
    held_out_fraction: The share of these that training leaves out. They are
      the same in every run on this dataset (`data.ImageSource.hold_out`), and
      those of a smaller share are a part of those of a larger one.
    crop_padding: Pixels on each side before a random crop; 0 for none.
    horizontal_flip: Whether to mirror half of the images.
    random_crop_area: The smallest share of its area that is cut at random from
      an image, in proportions of 3:4 to 4:3, and enlarged to the whole size,
      before the other crop; 1 for none.
    color_jitter: By how much of the range brightness is changed at random at
      most, and by which share contrast and saturation; 0 for none.
    views: Epoch n trains on view n mod views, a view being one augmentation of
      every example; 0 for a new one in each epoch. Derived with a teacher
      cache: as many as there are epochs.
    augmentation_seed: The seed of the views; -1 for the run's own seed. Derived
      with a teacher cache: 0, so that runs of any seed can share it.
    unlabeled: Images without labels, which a student learns from its teacher
      alone: a folder of pictures, at any depth; an `.npz` file with an array
      `images`; `tfds:NAME` or another known dataset, whose labels are not used;
      or `rest` for the training examples that `num_examples` leaves out. They
      get the size of the training images. Empty for none.
    unlabeled_split: The split of a `tfds:` dataset that they are; empty for
      `train`.
    unlabeled_examples: Use only this many of them, the first ones; 0 for all.
    unlabeled_share: Their share of each batch. An epoch is still a pass over
      the examples with labels; passes over the others go on from one epoch to
      the next.
  """

  name: str = 'cifar10'
  data_dir: str = ''
  classes: tuple[int, ...] = ()
  train_split: str = ''
  test_split: str = ''
  image_size: tuple[int, ...] = ()
  image_fit: str = ranges.field('resize', ranges.one_of(*ranges.IMAGE_FITS))
  test_fraction: float = ranges.field(0.0, ranges.BELOW_1)
  skip_broken: bool = False
  image_cache: str = ''
  global_batch_size: int = ranges.field(128, ranges.AT_LEAST_1)
  members_per_example: int = ranges.field(0, ranges.NOT_NEGATIVE, of_member=0)
  num_examples: int = ranges.field(0, ranges.NOT_NEGATIVE)
  test_from_training: int = ranges.field(0, ranges.NOT_NEGATIVE)
  held_out_fraction: float = ranges.field(0.0, ranges.BELOW_1)
  crop_padding: int = ranges.field(2, ranges.NOT_NEGATIVE)
  horizontal_flip: bool = True
  random_crop_area: float = ranges.field(1.0, ranges.FACTOR)
  color_jitter: float = ranges.field(0.0, ranges.BELOW_1)
  # A student may make do with few views; its teacher is to know the images.
  views: int = ranges.field(0, ranges.NOT_NEGATIVE, of_member=0)
  augmentation_seed: int = ranges.field(
    -1,
    ranges.Range(lambda x: -1 <= x < 2**32, 'at least -1 and less than 2^32'),
    of_member=-1,
  )
  unlabeled: str = ranges.field('', of_member='')
  unlabeled_split: str = ranges.field('', of_member='')
  unlabeled_examples: int = ranges.field(0, ranges.NOT_NEGATIVE, of_member=0)
  unlabeled_share: float = ranges.field(
    0.5,
    ranges.Range(lambda x: 0 < x < 1, 'more than 0 and less than 1'),
    of_member=0.5,
  )

  @property
  def num_unlabeled(self) -> int:
    """How many images of each batch have no label."""
    if not self.unlabeled:
      return 0
    return round(self.unlabeled_share * self.global_batch_size)

  def num_shown(self, available: int) -> int:
    """Returns up to which training example training may show them.

    Args:
      available: How many training examples of `classes` the dataset has.
    """
    used = self.num_examples or available
    if self.unlabeled != REST:
      return used
    return used + (self.unlabeled_examples or available - used)

  def num_held_out(self, available: int) -> int:
    """Returns how many examples training leaves out.

    Args:
      available: How many training examples of `classes` the dataset has.

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
class ValidationDataConfig(models.Settings):
  """Test examples of the dataset that `train_data` names.

  They never choose a checkpoint: the last one counts.

  Attributes:
    global_batch_size: Examples in a step over all replicas.
    num_examples: Use only this many examples, the first ones; 0 for all.
  """

  global_batch_size: int = ranges.field(500, ranges.AT_LEAST_1)
  num_examples: int = ranges.field(0, ranges.NOT_NEGATIVE)
