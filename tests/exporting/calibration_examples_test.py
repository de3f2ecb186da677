"""Tests of the examples that a temperature may be fitted to."""

import types

from uncertainty_distill import configs, data, trained, training
from uncertainty_distill.exporting import calibration_examples

import numpy as np
import pytest
import refusals
import tiny_runs


def _part(fraction):
  """Returns a run that held out a fraction of digits; for None a SavedModel."""
  if fraction is None:
    return types.SimpleNamespace(config=None, paths=())
  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.held_out_fraction = fraction
  return types.SimpleNamespace(config=config, paths=(str(fraction),))


def _model(*fractions, num_classes=10):
  return types.SimpleNamespace(
    parts=tuple(map(_part, fractions)),
    dataset=data.open_dataset('digits'),
    image_shape=(16, 16, 3),
    num_classes=num_classes,
    class_names=tuple(map(str, range(num_classes))),
  )


def test_takes_what_the_runs_held_out():
  got, _ = calibration_examples.load(_model(0.1, 0.1), '', None)
  _, want = data.open_dataset('digits').train.hold_out(80)
  np.testing.assert_array_equal(got.images, want.images)
  np.testing.assert_array_equal(got.labels, want.labels)


@pytest.mark.parametrize(
  'fractions', [(0.0,), (0.1, 0.2), (0.1, None), (None, 0.1), (None,)]
)
def test_refuses_what_some_run_was_trained_on(fractions):
  with refusals.refused('fit_temperature'):
    calibration_examples.load(_model(*fractions), '', None)


def test_refuses_data_that_changed_since_training(tmp_path):
  config = tiny_runs.config('task.train_data.held_out_fraction=0.1')
  path = tiny_runs.save(str(tmp_path / 'run'), config)
  model = trained.open_trained([path], 'path')
  train = data.open_dataset('digits').train
  for mark in train.fingerprint, 'another':
    (tmp_path / 'run' / 'data.yaml').write_text(f'training data: {mark}')
    if mark == train.fingerprint:
      assert len(calibration_examples.load(model, '', None)[0]) == 80
  with refusals.refused('fit_temperature'):
    calibration_examples.load(model, '', None)


def test_refuses_what_the_initial_networks_were_trained_on(tmp_path):
  config = tiny_runs.config('task.train_data.held_out_fraction=0.1')
  for fraction in 0.0, 0.1:
    member = configs.member_config(config)
    member.task.train_data.held_out_fraction = fraction
    network = tiny_runs.save(
      str(tmp_path / f'network_{fraction}'), training.resolve(member)
    )
    config.task.initialize_from = (network,) * 4
    path = tiny_runs.save(str(tmp_path / f'run_{fraction}'), config)
    model = trained.open_trained([path], 'path')
    if fraction:
      assert len(calibration_examples.load(model, '', None)[0]) == 80
    else:
      with refusals.refused('fit_temperature'):
        calibration_examples.load(model, '', None)


def test_what_a_run_learned_without_labels_is_learned(tmp_path):
  digits = data.open_dataset('digits')
  own = configs.TrainDataConfig(name=str(tmp_path / 'mine.npz'))
  path = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config())
  model = trained.open_trained([path], 'path')
  assert not len(trained.learned_rows(model, digits, own))
  model.config.task.train_data.unlabeled = own.name
  rows = trained.learned_rows(model, digits, own)
  np.testing.assert_array_equal(rows, np.arange(797))


def test_refuses_test_images_and_other_files(tmp_path):
  test = data.open_dataset('digits').test
  file = str(tmp_path / 'held.npz')
  images, labels = np.roll(test.images[:9], 1, 2), test.labels[:9]
  np.savez(file, images=images, labels=labels)
  got, _ = calibration_examples.load(_model(None), file, test)
  np.testing.assert_array_equal(got.images, images)
  np.savez(file, images=test.images[990:], labels=test.labels[990:])
  with refusals.refused('calibration_file', file, 'test set') as caught:
    calibration_examples.load(_model(None), file, test)
  assert '10 ' in caught.value.hint
  for wrong in (
    {'images': images},
    {'images': images, 'labels': labels + 10},
    {'images': images[:, :8], 'labels': labels},
  ):
    np.savez(file, **wrong)
    with refusals.refused('calibration_file', file, '[N, 16, 16, 3]'):
      calibration_examples.load(_model(None), file, None)
  np.savez(file, images=images, labels=labels)
  with refusals.refused('calibration_file', file, '[N] of 0 to 2'):
    calibration_examples.load(_model(None, num_classes=3), file, None)
