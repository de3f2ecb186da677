"""Tests of the corruptions with the constants of ImageNet-C."""

import uncertainty_distill as ud
from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.data.corruptions import blur, constants

import numpy as np
import pytest
import refusals
import tiny_dataset

_IMAGES = np.random.default_rng(0).integers(60, 200, (2, 64, 72, 3), np.uint8)
Corruption, Shift = corruptions.Corruption, corruptions.Shift


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


def test_defocus_disks():
  for radius, alias, side in (3, 0.1, 9), (8, 0.5, 17), (10, 0.5, 21):
    disk = blur._disk(radius, alias)
    assert disk.shape == (side, side)
    assert disk.sum() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(disk, disk.T, rtol=1e-5)


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


def test_each_benchmark_has_five_of_everything():
  for benchmark in constants.BENCHMARKS:
    for kind in Corruption:
      values = [constants.read(kind.value, s, benchmark) for s in range(1, 6)]
      assert len({str(value) for value in values}) >= 4
