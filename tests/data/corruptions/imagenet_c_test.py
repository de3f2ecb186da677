"""Tests of the corruptions with the constants of ImageNet-C."""

import uncertainty_distill as ud
from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.data.corruptions import blur, constants

import numpy as np
import pytest
import refusals
import tiny_dataset
from scipy import ndimage

_IMAGES = np.random.default_rng(0).integers(60, 200, (2, 64, 72, 3), np.uint8)
Corruption, Shift = corruptions.Corruption, corruptions.Shift
# Hendrycks and Dietterich (2019), severity 1 first. Other tests have most of
# the constants of CIFAR-C.
_PUBLISHED = {
  ('imagenet_c', 'gaussian_noise'): [0.08, 0.12, 0.18, 0.26, 0.38],
  ('imagenet_c', 'shot_noise'): [60, 25, 12, 5, 3],
  ('imagenet_c', 'impulse_noise'): [0.03, 0.06, 0.09, 0.17, 0.27],
  ('imagenet_c', 'speckle_noise'): [0.15, 0.2, 0.35, 0.45, 0.6],
  ('imagenet_c', 'gaussian_blur'): [1, 2, 3, 4, 6],
  ('imagenet_c', 'glass_blur'): [
    (0.7, 1, 2),
    (0.9, 2, 1),
    (1, 2, 3),
    (1.1, 3, 2),
    (1.5, 4, 2),
  ],
  ('imagenet_c', 'defocus_blur'): [
    (3, 0.1),
    (4, 0.5),
    (6, 0.5),
    (8, 0.5),
    (10, 0.5),
  ],
  ('imagenet_c', 'motion_blur'): [
    (10, 3),
    (15, 5),
    (15, 8),
    (15, 12),
    (20, 15),
  ],
  ('imagenet_c', 'zoom_blur'): [
    (1, 1.11, 0.01),
    (1, 1.16, 0.01),
    (1, 1.21, 0.02),
    (1, 1.26, 0.02),
    (1, 1.31, 0.03),
  ],
  ('imagenet_c', 'snow'): [
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
  ],
  ('imagenet_c', 'frost'): [
    (1, 0.4),
    (0.8, 0.6),
    (0.7, 0.7),
    (0.65, 0.7),
    (0.6, 0.75),
  ],
  ('imagenet_c', 'fog'): [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
  ('imagenet_c', 'spatter'): [
    (0.65, 0.3, 4, 0.69, 0.6, 0),
    (0.65, 0.3, 3, 0.68, 0.6, 0),
    (0.65, 0.3, 2, 0.68, 0.5, 0),
    (0.65, 0.3, 1, 0.65, 1.5, 1),
    (0.67, 0.4, 1, 0.65, 1.5, 1),
  ],
  ('imagenet_c', 'brightness'): [0.1, 0.2, 0.3, 0.4, 0.5],
  ('imagenet_c', 'contrast'): [0.4, 0.3, 0.2, 0.1, 0.05],
  ('imagenet_c', 'saturate'): [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)],
  ('imagenet_c', 'jpeg_compression'): [25, 18, 15, 10, 7],
  ('imagenet_c', 'pixelate'): [0.6, 0.5, 0.4, 0.3, 0.25],
  ('imagenet_c', 'elastic_transform'): [
    (488, 170.8, 24.4),
    (488, 19.52, 48.8),
    (12.2, 2.44, 4.88),
    (17.08, 2.44, 4.88),
    (29.28, 2.44, 4.88),
  ],
  ('cifar_c', 'snow'): [
    (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
  ],
  ('cifar_c', 'spatter'): [
    (0.62, 0.1, 0.7, 0.7, 0.5, 0),
    (0.65, 0.1, 0.8, 0.7, 0.5, 0),
    (0.65, 0.3, 1, 0.69, 0.5, 0),
    (0.65, 0.1, 0.7, 0.69, 0.6, 1),
    (0.65, 0.1, 0.5, 0.68, 0.6, 1),
  ],
  ('cifar_c', 'pixelate'): [0.95, 0.9, 0.85, 0.75, 0.65],
  ('cifar_c', 'elastic_transform'): [
    (0, 0, 2.56),
    (1.6, 6.4, 2.24),
    (2.56, 1.92, 1.92),
    (3.2, 1.28, 1.6),
    (3.2, 0.96, 0.96),
  ],
}


def _corrupt(images, name, severity, **options):
  shift = Shift(Corruption(name), severity)
  return corruptions.corrupt(images, shift, benchmark='imagenet_c', **options)


@pytest.mark.parametrize('kind', Corruption)
def test_each_image_is_corrupted_by_itself(kind):
  for severity in 1, 5:
    both = _corrupt(_IMAGES, kind.value, severity)
    assert both.shape == _IMAGES.shape and both.dtype == np.uint8
    alone = _corrupt(_IMAGES[1:], kind.value, severity, indices=[1])
    np.testing.assert_array_equal(alone, both[1:])
    assert (both != _IMAGES).any()
  as_cifar = corruptions.corrupt(_IMAGES, Shift(kind, 5))
  assert (as_cifar != both).any()


def test_constants_by_hand():
  flat = np.full((1, 64, 64, 3), 51, np.uint8)  # 0.2
  bright = _corrupt(flat, 'brightness', 5)  # 0.2 + 0.5
  assert abs(int(bright[0, 0, 0, 0]) - 178) <= 1
  halves = flat.copy()
  halves[:, :32] = 153  # The mean is 102; 0.05 of 51 is left on each side.
  values = np.unique(_corrupt(halves, 'contrast', 5))
  assert np.abs(values.astype(int) - [99, 104]).max() <= 1
  noise = _corrupt(np.full_like(flat, 128), 'gaussian_noise', 1) / 255
  assert noise.std() == pytest.approx(0.08, rel=0.05)


@pytest.mark.parametrize(
  'radius, alias, side, pixels, reach',
  [
    (3, 0.1, 9, 29, 1),
    (6, 0.5, 15, 113, 1),
    (8, 0.5, 17, 197, 1),
    (10, 0.5, 21, 317, 2),
  ],
)
def test_defocus_disks(radius, alias, side, pixels, reach):
  disk = blur._disk(radius, alias)
  assert disk.shape == (side, side)
  # The published grid is 17x17, or larger if the disk is.
  half = max(radius, 8)
  offsets = np.arange(-half, half + 1)
  inside = np.hypot(offsets, offsets[:, np.newaxis]) <= radius
  assert inside.sum() == pixels
  weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / alias) ** 2)
  want = inside / pixels
  for axis in 0, 1:
    want = ndimage.correlate1d(
      want, weights / weights.sum(), axis, mode='mirror'
    )
  rim = half - side // 2
  kept = slice(rim, rim + side)
  np.testing.assert_allclose(disk, want[kept, kept], atol=1e-7)
  assert disk[side // 2, side // 2] == pytest.approx(1 / pixels)
  assert disk[0, 0] < 1e-9 and disk.max() < 1.001 / pixels


@pytest.mark.parametrize('reach', [2, 4])
def test_glass_blur_is_the_published_sweep(reach):
  height, width, sweeps = 17, 15, 2
  generators = [np.random.default_rng(seed) for seed in (1, 2)]
  sources = blur._far_sources(generators, sweeps, height, width, reach)
  for example, seed in enumerate((1, 2)):
    rows = range(height - reach, reach, -1)
    columns = range(width - reach, reach, -1)
    moves = np.random.default_rng(seed).integers(
      -reach, reach, size=(2, sweeps, len(rows), len(columns))
    )[..., ::-1, ::-1]
    image = np.arange(height * width).reshape(height, width)
    want = image.copy()
    got = image.ravel()
    for sweep in range(sweeps):
      for i, y in enumerate(rows):
        for j, x in enumerate(columns):
          down, right = moves[:, sweep, i, j]
          want[y, x] = want[y + down, x + right]
      got = got[sources[example, sweep]]
    np.testing.assert_array_equal(got.reshape(height, width), want)


def test_the_benchmark_follows_from_the_size():
  choose = corruptions.choose_benchmark
  assert choose('', (63, 200, 3)) == 'cifar_c'
  assert choose('', (64, 64, 3)) == 'imagenet_c'
  assert choose('cifar_c', (64, 64, 3)) == 'cifar_c'
  with refusals.refused('benchmark', 'mnist_c', 'cifar_c, imagenet_c'):
    choose('mnist_c', (64, 64, 3))
  small, large = tiny_dataset.make(number=3), tiny_dataset.make(3, 3, size=64)
  shift, rows = Shift(Corruption.CONTRAST, 5), np.arange(3)
  for dataset, benchmark in (small, 'cifar_c'), (large, 'imagenet_c'):
    opened = corrupted_sets.FormulaSet(dataset)
    want = corruptions.corrupt(dataset.images, shift, benchmark=benchmark)
    np.testing.assert_array_equal(opened.images(shift, rows), want)
    assert (benchmark in opened.description) == (benchmark == 'imagenet_c')
    np.testing.assert_array_equal(
      ud.corrupt(dataset.images, 'contrast', 5), want
    )


@pytest.mark.parametrize('benchmark, name', _PUBLISHED)
def test_constants_are_the_published_ones(benchmark, name):
  found = [constants.read(name, s, benchmark) for s in range(1, 6)]
  np.testing.assert_allclose(found, _PUBLISHED[benchmark, name], rtol=1e-9)


def test_each_corruption_of_imagenet_c_has_published_constants():
  names = {name for of, name in _PUBLISHED if of == 'imagenet_c'}
  assert names == {kind.value for kind in Corruption}
