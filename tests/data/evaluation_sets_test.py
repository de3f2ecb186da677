"""Tests of what a configuration evaluates on."""

from uncertainty_distill import configs, data
from uncertainty_distill.data import corruptions

import numpy as np
import refusals


def _sets(config):
  dataset = data.open_configured(config.task.train_data)
  return data.open_evaluation_sets(config, dataset)


def _config(overrides=''):
  return configs.load_config('digits_wrn10_1', (), overrides)


def _open(config):
  return _sets(config).out_of_distribution


def test_shifts_of_a_configuration():
  shifts = data.parse_shifts(_config().evaluation)
  assert shifts[0] == corruptions.CLEAN
  assert len(shifts) == len(set(shifts)) == 1 + 5 * 15
  chosen = _config(
    'evaluation.corruptions=[contrast],evaluation.severities=[4]'
  )
  assert data.parse_shifts(chosen.evaluation) == [
    corruptions.CLEAN,
    corruptions.Shift(corruptions.Corruption.CONTRAST, 4),
  ]
  clean = _config('evaluation.corruptions=[]')
  assert data.parse_shifts(clean.evaluation) == [corruptions.CLEAN]


def test_frost_of_a_configuration():
  overrides = 'evaluation.corruptions=[frost],evaluation.severities=[1],'
  config = _config(f'{overrides}evaluation.frost=photographs')
  opened = _sets(config).corrupted
  clean = opened.dataset.images[:2]
  shift = corruptions.Shift(corruptions.Corruption.FROST, 1)
  np.testing.assert_array_equal(
    opened.images(shift, np.arange(2)),
    corruptions.corrupt(clean, shift, frost='photographs'),
  )
  config.evaluation.frost = 'hail'
  with refusals.refused('frost', 'hail'):
    _sets(config)


def test_all_classes_leave_none():
  assert _open(_config()) is None


def test_the_classes_left_out_are_out_of_distribution():
  config = _config(
    'task.train_data.classes=[0,1,2],task.validation_data.num_examples=50'
  )
  source = _open(config)
  assert source.images.shape == (50, 16, 16, 3)
  assert set(source.labels) == set(range(3, 10))


def test_another_dataset_must_have_images_of_the_same_shape(tmp_path):
  def write(name, side):
    images = np.zeros([4, side, side, 3], np.uint8)
    np.savez(
      tmp_path / name,
      train_images=images,
      train_labels=[0, 1, 0, 1],
      test_images=images,
      test_labels=[1, 0, 1, 1],
    )
    return _config(f'evaluation.out_of_distribution={tmp_path / name}')

  assert len(_open(write('same.npz', 16))) == 4
  with refusals.refused('evaluation.out_of_distribution'):
    _open(write('other.npz', 8))


def test_images_of_another_size_are_the_same_everywhere():
  config = _config(
    'task.train_data.image_size=[12,12],task.train_data.classes=[0,1],'
    'evaluation.corruptions=[contrast],evaluation.severities=[1]'
  )
  sets = _sets(config)
  shift = sets.shifts[1]
  small = data.open_dataset('digits', image_size=(12, 12))
  assert sets.clean.spec.image_shape == (12, 12, 3)
  assert sets.corrupted.images(shift, np.arange(3)).shape == (3, 12, 12, 3)
  others = small.test.of_other_classes([0, 1])
  np.testing.assert_array_equal(sets.out_of_distribution.images, others.images)
  # Another dataset is made smaller too.
  config.evaluation.out_of_distribution = 'digits'
  np.testing.assert_array_equal(_open(config).images, small.test.images)


def test_images_to_fit_temperatures_to_are_not_trained_on():
  config = _config(
    'task.train_data.num_examples=600,evaluation.temperature_examples=100,'
    'evaluation.num_examples=30,task.validation_data.num_examples=50'
  )
  sets = _sets(config)
  whole = data.open_dataset('digits').train
  np.testing.assert_array_equal(sets.temperature.labels, whole.labels[-100:])
  np.testing.assert_array_equal(
    sets.temperature.numpy(slice(None)), whole.images[-100:]
  )
  assert sets.num_corrupted == 30 and len(sets.clean) == 50
  config.evaluation.temperature_examples = 0
  config.evaluation.num_examples = 0
  assert _sets(config).temperature is None
  assert _sets(config).num_corrupted == 50
  config.evaluation.conformal = 0.1
  for config.evaluation.temperature_examples in (0, 8):
    with refusals.refused('evaluation.temperature_examples'):
      _sets(config)
  config.evaluation.conformal = 0.0
  for config.task.train_data.num_examples in (0, 950):
    config.evaluation.temperature_examples = 100
    with refusals.refused('evaluation.temperature_examples', 100):
      _sets(config)
