"""The corruptions' formulas, purity and errors."""

import tracemalloc

from matplotlib import colors
import numpy as np
from PIL import Image
import pytest
from scipy import ndimage
from scipy import stats
from sklearn import datasets
import tensorflow as tf

from uncertainty_distill import errors
from uncertainty_distill.data import corruptions

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


def published(corruption, *constants):
  """Parametrizes a test by the shift and the constant of each severity."""
  pairs = [(Shift(corruption, s), c) for s, c in enumerate(constants, start=1)]
  return pytest.mark.parametrize('shift, c', pairs)


@published(Corruption.GAUSSIAN_NOISE, 0.04, 0.06, 0.08, 0.09, 0.1)
def test_gaussian_noise_has_the_published_deviation(shift, c):
  noisy = corruptions.corrupt(GREY, shift)
  # Truncating lowers the mean by half a level and adds 1/12 to the variance.
  assert noisy.mean() == pytest.approx(127.5, abs=0.25)
  assert noisy.var() == pytest.approx((255 * c) ** 2 + 1 / 12, rel=0.02)


@published(Corruption.SHOT_NOISE, 500, 250, 100, 75, 50)
def test_shot_noise_is_a_poisson_count(shift, c):
  # Exact moments: at 250 photons whole counts and whole levels nearly coincide,
  # and truncating takes away 4% of the variance.
  counts = np.arange(2 * c)
  chances = stats.poisson.pmf(counts, c * 128 / 255)
  levels = np.floor(255 * np.minimum(counts / c, 1))
  mean = chances @ levels
  noisy = corruptions.corrupt(GREY, shift)
  assert noisy.mean() == pytest.approx(mean, abs=0.25)
  variance = chances @ (levels - mean) ** 2
  assert noisy.var() == pytest.approx(variance, rel=0.02)
  assert not corruptions.corrupt(np.zeros_like(GREY), shift).any()


@published(Corruption.IMPULSE_NOISE, 0.01, 0.02, 0.03, 0.05, 0.07)
def test_impulse_noise_hits_values_independently(shift, c):
  noisy = corruptions.corrupt(GREY, shift)
  expected = GREY.size * c / 2
  for extreme in (0, 255):
    hits = np.count_nonzero(noisy == extreme)
    assert hits == pytest.approx(expected, abs=4 * np.sqrt(expected))
  assert set(np.unique(noisy)) == {0, 128, 255}
  pairs = np.all(noisy[..., :2] != 128, axis=-1).mean()
  assert pairs == pytest.approx(c**2, abs=c / 20)


@pytest.mark.parametrize(
    'corruption', [c for c in Corruption if c.value.endswith('_noise')]
)
def test_draws_differ_by_seed_index_and_severity(corruption):
  def noise(severity=2, **kwargs):
    shift = Shift(corruption, severity)
    return corruptions.corrupt(GREY[:1], shift, **kwargs).ravel()

  base = noise()
  for other in (noise(seed=1), noise(indices=[1]), noise(severity=3)):
    assert abs(np.corrcoef(base, other)[0, 1]) < 0.1


def test_streams_are_the_same_in_every_process():
  shift = Shift(Corruption.IMPULSE_NOISE, 1)
  noisy = corruptions.corrupt(GREY[:1], shift, seed=7, indices=[9999])
  assert np.flatnonzero(noisy == 255)[:3].tolist() == [511, 1071, 1226]


@ALL
def test_result_is_a_pure_function_of_image_and_index(corruption):
  shift = Shift(corruption, 3)
  # More than one chunk, and a side that no power of two divides.
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
  assert corruptions.corrupt(images, corruptions.CLEAN) is images


@published(Corruption.GAUSSIAN_BLUR, 0.4, 0.6, 0.7, 0.8, 1.0)
def test_gaussian_blur_against_scipy_image_by_image(shift, c):
  images = random_images(5, 20, 32, 3)
  for image, blurred in zip(images, corruptions.corrupt(images, shift)):
    unit = ndimage.gaussian_filter(image / 255, (c, c, 0), mode='nearest')
    np.testing.assert_array_equal(blurred, (255 * unit).astype(np.uint8))


@published(Corruption.BRIGHTNESS, 0.05, 0.1, 0.15, 0.2, 0.3)
def test_brightness_against_matplotlib_s_hsv(shift, c):
  images = random_images(20, 16, 16, 3)
  hsv = colors.rgb_to_hsv(images / 255)
  hsv[..., 2] = np.minimum(hsv[..., 2] + c, 1)
  expected = (colors.hsv_to_rgb(hsv) * 255).astype(np.uint8)
  # Where the result is a whole level, rounding may truncate to the one below.
  gap = corruptions.corrupt(images, shift).astype(int) - expected
  assert np.abs(gap).max() <= 1
  assert np.count_nonzero(gap) < 0.005 * gap.size


def test_brightness_by_hand():
  images = np.zeros((1, 8, 8, 3), np.uint8)
  images[0, 0, :2] = [(100, 50, 0), (0, 250, 125)]
  bright = corruptions.corrupt(images, Shift(Corruption.BRIGHTNESS, 1))
  # V rises by 12.75 levels, up to 255; the others rise in proportion.
  expected = [[112, 56, 0], [0, 255, 127], [12, 12, 12]]
  assert bright[0, 0, :3].tolist() == expected


@published(Corruption.CONTRAST, 0.75, 0.5, 0.4, 0.3, 0.15)
def test_contrast_by_hand(shift, c):
  images = np.zeros((2, 8, 8, 3), np.uint8)
  images[0, :4, :, 1] = 201  # The mean of this image and channel is 100.5.
  flat = corruptions.corrupt(images, shift)
  assert np.all(flat[0, :4, :, 1] == int(100.5 + 100.5 * c))
  assert np.all(flat[0, 4:, :, 1] == int(100.5 - 100.5 * c))
  assert not flat[0, ..., [0, 2]].any() and not flat[1].any()


def test_pixelate_by_hand():
  columns = np.tile(20 * np.arange(8, dtype=np.uint8), (8, 1))
  images = np.stack([columns, columns.T, columns], axis=-1)[np.newaxis]
  coarse = corruptions.corrupt(images, Shift(Corruption.PIXELATE, 4))[0]
  # 8 pixels to int(8 * 0.75) = 6 and back: the pairs (1, 2) and (5, 6) merge.
  expected = np.tile([0, 30, 30, 60, 80, 110, 110, 140], (8, 1))
  np.testing.assert_array_equal(coarse[..., 0], expected)
  np.testing.assert_array_equal(coarse[..., 1], expected.T)


@published(Corruption.JPEG_COMPRESSION, 80, 65, 58, 50, 40)
def test_jpeg_against_tensorflow_s_codec(shift, c):
  images = photographs()
  for image, compressed in zip(images, corruptions.corrupt(images, shift)):
    encoded = tf.io.encode_jpeg(image, quality=c)
    decoded = tf.io.decode_jpeg(encoded, dct_method='INTEGER_ACCURATE')
    np.testing.assert_allclose(compressed.astype(int), decoded, atol=2)


@ALL
def test_each_severity_is_further_from_the_clean_image(corruption):
  def distances(images):
    clean = images.astype(float)
    return [
        np.sqrt(np.mean((corruptions.corrupt(images, shift) - clean) ** 2))
        for shift in corruptions.shifts([corruption])
    ]

  assert np.all(np.diff([0, *distances(photographs())]) > 0)
  # Enlarged fourfold, digits have a grid of their own, which box filters may
  # happen to meet: only the order of the first and last severity is certain.
  on_digits = distances(digits())
  assert 0 < on_digits[0] == min(on_digits) < max(on_digits) == on_digits[-1]


def test_memory_is_that_of_a_chunk_not_of_all_images():
  images = random_images(2000, 32, 32, 3)
  tracemalloc.start()
  corruptions.corrupt(images, Shift(Corruption.BRIGHTNESS, 1))
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 40e6  # One float64 copy of all images would be 49e6.


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
  with pytest.raises(errors.InputError, match='^severity: got'):
    Shift(Corruption.CONTRAST, severity)
  with pytest.raises(errors.InputError, match='^severity: got .*, wants 0'):
    Shift(None, 1)
  with pytest.raises(errors.InputError, match='^corruption: got'):
    Shift('contrast', 1)


def test_an_unknown_name_is_refused():
  with pytest.raises(errors.InputError, match='did you mean gaussian_noise'):
    Corruption.parse('gausian_noise')
  with pytest.raises(errors.InputError, match='gaussian_noise, shot_.*n$'):
    Corruption.parse('zzz')


@pytest.mark.parametrize(
    'argument, images, kwargs',
    [
        ('images', GREY[..., :1], {}),
        ('images', GREY[0], {}),
        ('images', GREY[:, :7], {}),
        ('images', GREY / 255, {}),
        ('images', GREY.tolist(), {}),
        ('seed', GREY, {'seed': -1}),
        ('seed', GREY, {'seed': 0.5}),
        ('indices', GREY, {'indices': [0, 1]}),
        ('indices', GREY, {'indices': np.zeros(64)}),
        ('indices', GREY, {'indices': np.arange(64) - 1}),
    ],
)
def test_wrong_arguments_are_refused(argument, images, kwargs):
  for shift in (corruptions.CLEAN, Shift(Corruption.SHOT_NOISE, 1)):
    with pytest.raises(errors.InputError, match=f'^{argument}: got'):
      corruptions.corrupt(images, shift, **kwargs)
