"""Tests that random crops and color jitter are pure and keep their bounds."""

from uncertainty_distill import data

import numpy as np
import tiny_dataset


def _batches(count, **options):
  source = tiny_dataset.numbered(12, size=16)
  batches = tiny_dataset.training_batches(source, 4, seed=3, **options)
  return [
    {name: value.numpy() for name, value in batch.items()}
    for batch in batches.take(count)
  ]


def test_a_resumed_run_sees_the_same_images():
  distortion = data.Distortion(0.3, 0.4)
  whole = _batches(6, distortion=distortion)
  resumed = _batches(2, distortion=distortion, start_step=4)
  for batch, again in zip(whole[4:], resumed, strict=True):
    np.testing.assert_array_equal(batch['images'], again['images'])
    np.testing.assert_array_equal(batch['labels'], again['labels'])


def test_views_and_examples_differ_and_are_those_of_the_teacher():
  distortion = data.Distortion(0.3, 0.4)
  source = tiny_dataset.numbered(12, size=16)
  seen = {}
  for step, batch in enumerate(_batches(6, distortion=distortion)):
    for label, image in zip(batch['labels'], batch['images']):
      seen[step // 3, int(label)] = image
  views = data.view_batches(
    data.Views(source, seed=3, distortion=distortion), [0, 1], 12
  )
  for view, batch in enumerate(views.as_numpy_iterator()):
    for label, image in zip(batch['labels'], batch['images']):
      np.testing.assert_array_equal(image, seen[view, int(label)])
  assert all((seen[0, row] != seen[1, row]).any() for row in range(12))


def test_crops_and_flips_are_the_same_with_it():
  # Of 16 x 16 pixels, only the whole image has 99% of the area.
  whole = data.Distortion(crop_area=0.99)
  assert whole and not data.Distortion()
  options = {'padding': 1, 'flip': True}
  batches = _batches(3, **options), _batches(3, distortion=whole, **options)
  for plain, batch in zip(*batches, strict=True):
    np.testing.assert_array_equal(plain['labels'], batch['labels'])
    np.testing.assert_array_equal(plain['images'], batch['images'])


def test_crops_stay_within_a_ramp_and_jitter_within_its_bounds():
  ramp = np.broadcast_to(
    np.arange(64, dtype=np.uint8)[:, None, None] * 3, (8, 64, 64, 3)
  )
  view = np.int64(0)
  crop = data.Distortion(crop_area=0.25)
  cropped = crop.apply(ramp, crop.seeds(8, 1, view)).numpy().astype(int)
  rows = cropped[:, :, 0, 0]
  assert (np.diff(rows, axis=1) >= 0).all()
  spans = rows[:, -1] - rows[:, 0]
  # A crop of a quarter of the area, at 3:4, has at least 0.43 of the height.
  assert spans.min() >= 0.4 * 189 and spans.max() <= 189
  assert len(set(spans)) > 3
  gray = np.full((50, 4, 4, 3), 128, np.uint8)
  jitter = data.Distortion(color_jitter=0.2)
  levels = jitter.apply(gray, jitter.seeds(50, 1, view)).numpy().astype(int)
  # Gray has neither contrast nor saturation, so only its brightness changes.
  assert np.ptp(levels.reshape(50, -1), axis=1).max() <= 1
  assert 76 <= levels.min() < 90 and 166 < levels.max() <= 180
