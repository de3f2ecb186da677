"""What tells test images from others in the results of a folder."""

from uncertainty_distill import configs, evaluation, training

import pytest
import tensorflow as tf


def _marks(tmp_path, overrides=''):
  config = configs.load_config('digits_wrn10_1', (), overrides)
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  experiment = training.open_experiment(config, strategy)
  return evaluation.ResultCache(str(tmp_path), [], experiment).images


@pytest.mark.parametrize(
  'overrides',
  [
    'task.train_data.classes=[0,1]',
    'task.train_data.image_size=[12,12]',
    'task.train_data.test_from_training=100',
    'task.validation_data.num_examples=50',
    'evaluation.corruptions=[contrast]',
    'evaluation.severities=[2]',
    'evaluation.frost=photographs',
  ],
)
def test_other_images_have_other_marks(tmp_path, overrides):
  assert _marks(tmp_path) != _marks(tmp_path, overrides)


def test_the_marks_of_older_versions_stay(tmp_path):
  overrides = 'evaluation.corruptions=[frost],evaluation.severities=[2]'
  names = [mark.split(':')[0] for mark in _marks(tmp_path, overrides)]
  assert names == [
    'digits',
    'classes',
    'source',
    'out of distribution',
    'figures',
    'clean',
    'frost/2',
  ]
