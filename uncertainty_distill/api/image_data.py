"""Public functions: datasets and corrupted images."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import data
from uncertainty_distill.data import corruptions
from uncertainty_distill.errors import InputError

import numpy as np
import numpy.typing as npt

_SPLITS = ('train', 'test')


def load_dataset(
  name: str,
  split: str = 'test',
  data_dir: str = '',
  *,
  image_size: Sequence[int] = (),
  image_fit: str = 'resize',
  test_fraction: float = 0.0,
) -> data.ImageSource:
  """Reads the training or the test examples of a dataset.

  Args:
    name: `digits` (16x16 pixels), which needs no download, `cifar10`,
      `cifar100`, or `tfds:NAME` for another dataset of TFDS. Or the path of an
      `.npz` file with the arrays `train_images`, `train_labels`, `test_images`
      and `test_labels`: images uint8 [N, H, W, 3], labels integers [N] from 0
      to K - 1. The file may hold `class_names`, K strings. Or the path of a
      folder of pictures: `PATH/train/CLASS/` and `PATH/test/CLASS/`, or
      `PATH/CLASS/`.
    split: `train` or `test`.
    data_dir: The folder of TFDS's datasets. By default the environment variable
      TFDS_DATA_DIR, or ~/tensorflow_datasets.
    image_size: The height and width that all images get; () for the images as
      they are. Images of folders and of `tfds:NAME` can get any size, and other
      images only a smaller one.
    image_fit: How images of folders and of `tfds:NAME` get this size: `resize`
      stretches them, `crop` takes the largest middle part of the right
      proportions, `pad` adds black.
    test_fraction: The share of each class that becomes the test set of a folder
      without test pictures, always the same pictures.

  Returns:
    The examples, in the order that a teacher's stored predictions must have:
    `images`, uint8 [N, H, W, C], and `labels`, int32 [N], which must not be
    written to; and `spec`, which describes the dataset.

  Raises:
    InputError: If there is no such dataset or split, if it is missing and
      cannot be downloaded, or if its pictures cannot be read or differ in size.

  Examples:
    >>> digits = ud.load_dataset('digits')
    >>> digits.images.shape, digits.labels.shape, digits.spec.num_classes
    ((1000, 16, 16, 3), (1000,), 10)
  """
  if split not in _SPLITS:
    raise InputError('split', split, 'one of ' + ', '.join(_SPLITS))
  opened = data.open_dataset(
    name,
    data_dir,
    image_size=image_size,
    decoding=data.Decoding(image_fit, test_fraction),
  )
  return getattr(opened, split)


def corrupt(
  images: npt.NDArray[np.uint8],
  corruption: str,
  severity: int,
  seed: int = 0,
  frost: str = 'texture',
  benchmark: str = '',
) -> npt.NDArray[np.uint8]:
  """Corrupts images by a formula of CIFAR-10-C or ImageNet-C.

  The result for an image depends only on the image, its index among the images,
  and the other arguments. Evaluation corrupts a test set in this way, with seed
  0; docs/corruptions.md shows the results.

  Args:
    images: uint8 [B, H, W, 3], sides of 12 to 512 pixels.
    corruption: `gaussian_noise`, `shot_noise`, `impulse_noise`,
      `defocus_blur`, `glass_blur`, `motion_blur`, `zoom_blur`, `snow`, `frost`,
      `fog`, `brightness`, `contrast`, `elastic_transform`, `pixelate`,
      `jpeg_compression`; or one of the extra corruptions, `speckle_noise`,
      `gaussian_blur`, `spatter`, `saturate`.
    severity: 1 (least) to 5 (most).
    seed: The seed of the random draws, 0 to 2^64 - 1.
    frost: The pictures that `frost` lays over images: `texture`, drawn by rule,
      or `photographs`, the published ones.
    benchmark: The benchmark whose constants to use: `cifar_c` or `imagenet_c`;
      by default `cifar_c` if a side has fewer than 64 pixels, and `imagenet_c`
      otherwise.

  Returns:
    New images, uint8 [B, H, W, 3].

  Raises:
    InputError: If an argument is not as described.

  Examples:
    >>> images = ud.load_dataset('digits').images[:2]
    >>> corrupted = ud.corrupt(images, 'contrast', severity=5)
    >>> corrupted.shape, bool(corrupted.std() < images.std())
    ((2, 16, 16, 3), True)
  """
  if isinstance(severity, np.integer):
    severity = int(severity)
  shift = corruptions.Shift(corruptions.Corruption.parse(corruption), severity)
  shape = np.shape(images)[1:] if np.ndim(images) == 4 else (0, 0)
  benchmark = corruptions.choose_benchmark(benchmark, shape)
  return corruptions.corrupt(
    images, shift, seed, frost=frost, benchmark=benchmark
  )
