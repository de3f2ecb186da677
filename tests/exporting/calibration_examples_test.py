"""Tests of what a temperature may be fitted to."""

import dataclasses

from uncertainty_distill import configs, data, runs, trained
from uncertainty_distill.exporting import calibration_examples

import numpy as np
import pytest
import refusals


def _run(folder, fraction):
  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.held_out_fraction = fraction
  return runs.claim_run(str(folder), config).path


@pytest.fixture(name='ensemble')
def fixture_ensemble():
  return trained.Ensemble(None, (16, 16, 3), 10, 4)


def test_takes_what_the_runs_held_out(tmp_path, ensemble):
  paths = [_run(tmp_path / name, 0.1) for name in 'ab']
  images, labels, source = calibration_examples.examples(
    paths, ensemble, '', None
  )
  _, want = data.open_dataset('digits').train.hold_out(80)
  np.testing.assert_array_equal(images, want.images)
  np.testing.assert_array_equal(labels, want.labels)
  assert 'left out' in source


@pytest.mark.parametrize('fractions', [(0.0,), (0.1, 0.2), (0.1, None)])
def test_refuses_what_some_run_was_trained_on(tmp_path, ensemble, fractions):
  paths = [
    str(tmp_path) if fraction is None else _run(tmp_path / str(n), fraction)
    for n, fraction in enumerate(fractions)
  ]
  with refusals.refused('fit_temperature'):
    calibration_examples.examples(paths, ensemble, '', None)


def test_refuses_test_images_and_other_files(tmp_path, ensemble):
  test = data.open_dataset('digits').test
  file = str(tmp_path / 'held.npz')
  images, labels = np.roll(test.images[:9], 1, 2), test.labels[:9]
  np.savez(file, images=images, labels=labels)
  got = calibration_examples.examples([], ensemble, file, test)
  np.testing.assert_array_equal(got[0], images)
  np.savez(file, images=test.images[990:], labels=test.labels[990:])
  with refusals.refused('calibration_file', file, 'test set') as caught:
    calibration_examples.examples([], ensemble, file, test)
  assert '10 ' in caught.value.hint
  for wrong in (
    {'images': images},
    {'images': images, 'labels': labels + 10},
    {'images': images[:, :8], 'labels': labels},
  ):
    np.savez(file, **wrong)
    with refusals.refused('calibration_file', expected='[N, 16, 16, 3]'):
      calibration_examples.examples([], ensemble, file, None)
  few = dataclasses.replace(ensemble, num_classes=3)
  np.savez(file, images=images, labels=labels)
  with refusals.refused('calibration_file', expected='[N] of 0 to 2'):
    calibration_examples.examples([], few, file, None)
