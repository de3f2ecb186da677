"""Tests of the elastic transform by hand and against SciPy."""

from uncertainty_distill.data.corruptions import elastic

import numpy as np
import pytest
from scipy import ndimage


class Draws:
  """A random generator that returns given moves of points and displacements."""

  def __init__(self, moves, noise):
    self.values = [np.asarray(moves, float), noise]

  def uniform(self, low, high, size):
    values = self.values.pop(0)
    assert values.shape == size and low <= values.min() <= values.max() <= high
    return values


def random_images(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_points_move_the_image_with_them():
  images = random_images(3, 16, 32, 3)
  still, moved = np.zeros((3, 2)), np.tile([1.0, 0.0], (3, 1))
  draws = [Draws(moves, None) for moves in (still, moved, -moved)]
  result = elastic.elastic_transform(images, 1, draws).astype(int)
  expected = images.astype(int)
  expected[1, :, 1:] = images[1, :, :-1]
  expected[1, :, 0] = images[1, :, 1]  # Reflected, the edge not repeated.
  expected[2, :, :-1] = images[2, :, 1:]
  expected[2, :, -1] = images[2, :, -2]
  assert np.abs(result - expected).max() <= 1  # Truncation may lose a level.


@pytest.mark.parametrize(
  'severity, alpha, sigma',
  [(2, 0.05, 0.2), (3, 0.08, 0.06), (4, 0.1, 0.04), (5, 0.1, 0.03)],
)
def test_displacements_against_scipy(severity, alpha, sigma):
  images = random_images(2, 20, 32, 3)
  noise = np.random.default_rng(1).uniform(-1, 1, (2, 2, 20, 32))
  noise[1] = 1.0  # As far out of the image as possible.
  draws = [Draws(np.zeros((3, 2)), n) for n in noise]
  result = elastic.elastic_transform(images, severity, draws)
  for image, fields, displaced in zip(images, noise, result):
    down, right = (
      alpha
      * 20
      * ndimage.gaussian_filter(field, sigma * 20, mode='reflect', truncate=3)
      for field in fields
    )
    rows, columns = np.mgrid[:20, :32]
    for channel in range(3):
      expected = ndimage.map_coordinates(
        image[..., channel] / 255,
        (rows + down, columns + right),
        order=1,
        mode='reflect',
      )
      lost = 255 * expected - displaced[..., channel]  # By truncation.
      assert -1e-3 < lost.min() and lost.max() < 1.001


def test_what_is_flat_stays_as_it_is():
  flat = np.full((4, 32, 32, 3), 200, np.uint8)
  generators = [np.random.default_rng(i) for i in range(4)]
  for severity in (2, 5):
    result = elastic.elastic_transform(flat, severity, generators)
    assert set(np.unique(result)) <= {199, 200}


def test_edges_mirror_as_often_as_it_takes():
  mirrored = np.pad(np.arange(12), 60, 'symmetric')
  np.testing.assert_array_equal(
    elastic._reflect(np.arange(-60, 72), 12), mirrored
  )
