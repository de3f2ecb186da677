"""The training and test examples of an experiment."""

from __future__ import annotations

import dataclasses
import os

from uncertainty_distill import models, ranges
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

# The last name is for out-of-distribution images only.
_KNOWN = ('', *ranges.DATASETS, 'svhn_cropped')


# Instead of a path: the training examples that `num_examples` leaves out.
REST = 'rest'


def is_path(name: str) -> bool:
  """Returns whether a dataset's name is the path of the user's own data."""
  return name not in _KNOWN and not name.startswith(('tfds:', 'arrays:'))


@dataclasses.dataclass
class TrainDataConfig(models.Settings):
  """Training examples and their augmentation.

  Attributes:
    name: `cifar10`, `cifar100` or `digits`; `tfds:NAME` or `tfds:NAME/CONFIG`
      for any image classification dataset of TFDS; or the path of an `.npz`
      file or of a folder of pictures, with `PATH/train/CLASS/` and
      `PATH/test/CLASS/`, or with `PATH/CLASS/` (docs/images.md).
    data_dir: The folder of TFDS's datasets; empty for TFDS's own choice.
    classes: The classes to train and test on; () for all. They are renumbered
      from 0 in this order. The test images of the other classes then serve as
      out-of-distribution images, unless `evaluation.out_of_distribution` names
      other images.
    train_split: The split of a `tfds:` dataset to train on, such as
      `train[:80%]`; empty for `train`.
    test_split: The split of a `tfds:` dataset to test on; empty for the first
      of `test`, `validation` and `val` that the dataset has.
    image_size: The height and width to which all images are reduced, by
      averaging areas; () for the images as they are. Images of folders and of
      `tfds:` datasets are resized as in a served model instead, and need this
      value if they differ in size.
    image_fit: How images of folders and of `tfds:` datasets get the size
      `image_size`: `resize` stretches them, `crop` takes the largest middle
      part of the right proportions, `pad` adds black on two sides.
    test_fraction: The share of each class that becomes the test set of a folder
      without test pictures, always the same pictures; 0 for all other datasets.
    skip_broken: Whether to leave out pictures of a folder that cannot be read,
      with a line that says how many; if false, they are an error.
    image_cache: A folder on disk that keeps the decoded images of folders and
      of `tfds:` datasets, with or without labels, for this and later runs.
      Images are mapped into memory as they are read. Empty to decode pictures
      whenever they are used, and to keep images of TFDS in memory.
    global_batch_size: The number of distinct examples in a step, over all
      replicas.
    members_per_example: How many of the E members see each example in a step,
      from 1 to E; 0 for all of them. 1 costs as much as one network and is how
      BatchEnsemble was published (Wen et al., 2020, section 3.1). Below E,
      training shows only the mean of the members' own metrics.
    num_examples: Use only this many examples, the first ones; 0 for all.
    test_from_training: Test on this many training examples, the last ones,
      instead of the test set, and do not train on them. This is for choosing
      values of a configuration without looking at the test set. 0 for the test
      set.
    held_out_fraction: The share of the training examples in use that training
      leaves out. All runs on the same examples leave out the same ones
      (`data.ImageSource.hold_out`), and a smaller share is a part of a larger
      one.
    crop_padding: Pixels on each side before a random crop; 0 for no crop.
    horizontal_flip: Whether to mirror half of the images.
    random_crop_area: The smallest share of an image's area that a random crop
      keeps; 1 for no such crop. The crop has proportions of 3:4 to 4:3, is
      enlarged to the whole size, and comes before the crop of `crop_padding`.
    color_jitter: The largest random change of brightness, as a share of its
      range, and of contrast and saturation, as a share of their values; 0 for
      no change.
    views: The number of views that training cycles through. A view is one
      augmentation of every example, and epoch n trains on view n mod views. 0
      for a new view in each epoch. Derived with a teacher cache: one view for
      each epoch.
    augmentation_seed: The seed of the views; -1 for the run's own seed. With a
      teacher cache, -1 becomes 0, so that runs of any seed can share the cache.
    unlabeled: Images without labels, on which a student learns from its teacher
      alone: a folder of pictures, at any depth; an `.npz` file with an array
      `images` or `train_images`; `tfds:NAME` or another known dataset, whose
      labels are not used; or `rest` for the training examples that
      `num_examples` leaves out. They get the size of the training images. Empty
      for none.
    unlabeled_split: The split of a `tfds:` dataset that `unlabeled` names;
      empty for `train`.
    unlabeled_examples: Use only this many images without labels, the first
      ones; 0 for all.
    unlabeled_share: The share of images without labels in each batch. An epoch
      is still a pass over the examples with labels. Passes over the images
      without labels continue from one epoch to the next.
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
  # Few views may be enough for a student, but a teacher must know the images.
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

  @property
  def unlabeled_overlaps(self) -> bool:
    """Whether images without labels may also be examples of the dataset.

    `rest` has its own rows, which are known.
    """
    name, unlabeled = self.name, self.unlabeled
    if name == unlabeled and name.startswith('tfds:'):
      used, without_labels = (
        {
          part.partition('[')[0].strip()
          for part in (split or 'train').split('+')
        }
        for split in (self.train_split, self.unlabeled_split)
      )
      return bool(used & without_labels) or 'all' in used | without_labels
    if not unlabeled or unlabeled == name:
      return bool(unlabeled)
    if files.is_within(unlabeled, name):
      # Beside a folder `train`, other folders have no training images.
      train = os.path.join(name, 'train')
      return not files.is_folder(train) or files.is_within(unlabeled, train)
    return files.is_within(name, unlabeled)

  def num_shown(self, available: int) -> int:
    """Returns how many training examples, the first ones, training may show.

    These include the examples that training shows without their labels.

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
      InputError: If no example would be left to train on, or to hold out.
    """
    used = self.num_examples or available
    held_out = round(self.held_out_fraction * used)
    if self.held_out_fraction and not 0 < held_out < used:
      raise InputError(
        'task.train_data.held_out_fraction',
        self.held_out_fraction,
        f'a share of the {used} training examples that leaves at least one '
        'to train on and one to hold out',
      )
    return held_out


@dataclasses.dataclass
class ValidationDataConfig(models.Settings):
  """Test examples of the dataset that `train_data` names.

  They never choose a checkpoint: the last checkpoint is the one that counts.

  Attributes:
    global_batch_size: The number of examples in a step, over all replicas.
    num_examples: Use only this many examples, the first ones; 0 for all.
  """

  global_batch_size: int = ranges.field(500, ranges.AT_LEAST_1)
  num_examples: int = ranges.field(0, ranges.NOT_NEGATIVE)
