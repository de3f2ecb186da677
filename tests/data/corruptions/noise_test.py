"""Tests of the distributions of noises."""

from uncertainty_distill.data import corruptions

import numpy as np
import pytest
from scipy import stats

Corruption = corruptions.Corruption
Shift = corruptions.Shift
GREY = np.full((64, 32, 32, 3), 128, np.uint8)


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
  # The moments are exact, since at 250 photons whole counts and whole levels
  # nearly coincide, and truncation takes away 4% of the variance.
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


@published(Corruption.SPECKLE_NOISE, 0.06, 0.1, 0.12, 0.16, 0.2)
def test_speckle_noise_grows_with_the_value(shift, c):
  for level in (64, 128):
    noisy = corruptions.corrupt(np.full_like(GREY, level), shift)
    assert noisy.mean() == pytest.approx(level - 0.5, abs=0.25)
    assert noisy.var() == pytest.approx((level * c) ** 2 + 1 / 12, rel=0.02)
  assert not corruptions.corrupt(np.zeros_like(GREY), shift).any()
