"""Tests of what all corruptions share: purity, order, sizes and errors."""

import tracemalloc

from uncertainty_distill.data import corruptions

import numpy as np
import pytest
import refusals
from PIL import Image
from scipy import ndimage
from sklearn import datasets

Corruption = corruptions.Corruption
Shift = corruptions.Shift

ALL = pytest.mark.parametrize('corruption', Corruption)
GREY = np.full((64, 32, 32, 3), 128, np.uint8)


def random_images(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def digits():
  """Returns ten of scikit-learn's handwritten digits, uint8 [10,32,32,3]."""
  images = (datasets.load_digits().images[:10] * 255 / 16).astype(np.uint8)
  smooth = ndimage.zoom(images, (1, 4, 4), order=1)
  return smooth[..., np.newaxis].repeat(3, axis=-1)


def photographs():
  """Returns scikit-learn's picture of a temple in tiles, uint8 [24,32,32,3]."""
  image = Image.fromarray(datasets.load_sample_image('china.jpg'))
  pixels = np.asarray(image.resize((192, 128)))
  return pixels.reshape(4, 32, 6, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)


# Only corruptions with a random part depend on the example's index.
RANDOM = (
  *(c for c in Corruption if c.value.endswith('_noise')),
  Corruption.GLASS_BLUR,
  Corruption.MOTION_BLUR,
  Corruption.SNOW,
  Corruption.FROST,
  Corruption.FOG,
  Corruption.ELASTIC_TRANSFORM,
  Corruption.SPATTER,
)


@ALL
def test_draws_differ_by_seed_index_and_severity(corruption):
  images = random_images(1, 32, 32, 3)

  def change(severity=2, **kwargs):
    shift = Shift(corruption, severity)
    corrupted = corruptions.corrupt(images, shift, **kwargs)
    return corrupted.astype(float) - images

  base = change()
  others = (change(seed=1), change(indices=np.ones(1, int)), change(severity=3))
  if corruption not in RANDOM:
    assert np.array_equal(base, others[0]) and np.array_equal(base, others[1])
    return
  for other in others:
    assert np.mean((other - base) ** 2) > 1
  if corruption.value.endswith('_noise'):
    for other in others:
      assert abs(np.corrcoef(base.ravel(), other.ravel())[0, 1]) < 0.1


def test_streams_are_the_same_in_every_process():
  shift = Shift(Corruption.IMPULSE_NOISE, 1)
  noisy = corruptions.corrupt(GREY[:1], shift, seed=7, indices=np.array([9999]))
  assert np.flatnonzero(noisy == 255)[:3].tolist() == [511, 1071, 1226]


@ALL
def test_result_is_a_pure_function_of_image_and_index(corruption):
  shift = Shift(corruption, 3)
  # The images are more than one chunk, and have an odd height.
  images = random_images(300, 33, 24, 3)
  images.flags.writeable = False
  whole = corruptions.corrupt(images, shift, seed=3)
  assert whole.dtype == np.uint8 and whole.shape == images.shape
  order = np.random.default_rng(1).permutation(300)[:40]
  for part in (order, order[:1], np.arange(290, 300)):
    again = corruptions.corrupt(images[part], shift, seed=3, indices=part)
    np.testing.assert_array_equal(again, whole[part])
  mirrored = images[:4, :, ::-1]  # Not contiguous in memory.
  again = corruptions.corrupt(np.ascontiguousarray(mirrored), shift)
  np.testing.assert_array_equal(corruptions.corrupt(mirrored, shift), again)
  assert corruptions.corrupt(images[:0], shift).shape == (0, 33, 24, 3)


@ALL
@pytest.mark.parametrize('height, width', [(12, 12), (16, 64), (65, 13)])
def test_sizes_of_all_kinds_are_corrupted(corruption, height, width):
  images = random_images(3, height, width, 3)
  for severity in (1, 5):
    corrupted = corruptions.corrupt(images, Shift(corruption, severity))
    assert corrupted.shape == images.shape
    assert not np.array_equal(corrupted, images)


# The constants do not make each severity of these corruptions stronger than the
# severity before.
UNEVEN = (
  Corruption.GLASS_BLUR,
  Corruption.FROST,
  Corruption.ELASTIC_TRANSFORM,
  Corruption.SATURATE,
)


@ALL
def test_each_severity_is_further_from_the_clean_image(corruption):
  def distances(images):
    clean = images.astype(float)
    return [
      np.sqrt(np.mean((corruptions.corrupt(images, shift) - clean) ** 2))
      for shift in corruptions.shifts([corruption])
    ]

  on_photographs = distances(photographs())
  assert min(on_photographs) > 0
  if corruption in UNEVEN:
    return
  assert np.all(np.diff(on_photographs) > 0)
  # The fourfold enlargement gives digits a grid that box filters may happen to
  # match. So only the first severity is sure to be the mildest, and the last
  # to be the strongest.
  on_digits = distances(digits())
  assert 0 < on_digits[0] == min(on_digits) < max(on_digits) == on_digits[-1]


def test_memory_is_that_of_a_chunk_not_of_all_images():
  images = random_images(2000, 32, 32, 3)
  tracemalloc.start()
  corruptions.corrupt(images, Shift(Corruption.BRIGHTNESS, 1))
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 40e6  # One float64 copy of all images would be 49e6.


def test_fifteen_corruptions_are_standard_and_four_extra():
  assert len(corruptions.STANDARD) == 15 and len(corruptions.EXTRA) == 4
  assert set(corruptions.STANDARD + corruptions.EXTRA) == set(Corruption)
  extra = {'speckle_noise', 'gaussian_blur', 'spatter', 'saturate'}
  assert {corruption.value for corruption in corruptions.EXTRA} == extra


def test_names_and_groups_of_names_are_parsed():
  parse = corruptions.parse_corruptions
  assert parse(['all']) == tuple(Corruption)
  assert parse(['extra', 'fog', 'spatter']) == (
    *corruptions.EXTRA,
    Corruption.FOG,
  )
  assert parse([]) == ()


def test_shifts_sort_label_and_serve_as_keys():
  every = corruptions.shifts()
  assert len(set(every)) == len(every) == 5 * len(Corruption)
  mixed = [*reversed(every), corruptions.CLEAN]
  assert sorted(mixed) == [corruptions.CLEAN, *every]
  pair = corruptions.shifts([Corruption.parse('contrast')], [2, 4])
  labels = [shift.label for shift in (corruptions.CLEAN, *pair)]
  assert labels == ['clean', 'contrast/2', 'contrast/4']


@pytest.mark.parametrize('severity', [0, 6, 1.0, True])
def test_a_shift_that_cannot_be_is_refused(severity):
  with refusals.refused('severity', severity):
    Shift(Corruption.CONTRAST, severity)
  with refusals.refused('severity', 1, '0 '):
    Shift(None, 1)
  with refusals.refused('corruption', 'contrast'):
    Shift('contrast', 1)


def test_an_unknown_name_is_refused():
  with refusals.refused('corruption', 'gausian_noise') as caught:
    Corruption.parse('gausian_noise')
  assert 'gaussian_noise' in caught.value.hint
  with refusals.refused('corruption', 'zzz', 'gaussian_noise, shot_noise'):
    Corruption.parse('zzz')


@pytest.mark.parametrize(
  'argument, images, kwargs',
  [
    ('images', GREY[..., :1], {}),
    ('images', GREY[0], {}),
    ('images', GREY[:, :11], {}),
    ('images', np.zeros((1, 32, 513, 3), np.uint8), {}),
    ('images', GREY / 255, {}),
    ('images', GREY.tolist(), {}),
    ('seed', GREY, {'seed': -1}),
    ('seed', GREY, {'seed': 0.5}),
  ],
)
def test_wrong_arguments_are_refused(argument, images, kwargs):
  with refusals.refused(argument):
    corruptions.corrupt(images, Shift(Corruption.SHOT_NOISE, 1), **kwargs)
