"""Tests of the choice of devices and of their description."""

from uncertainty_distill import configs, distribution, training

import pytest
import refusals
import tensorflow as tf


def _config(text=''):
  return configs.load_config('digits_wrn10_1', params_override=text)


def _two_replicas():
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])


def test_default_is_all_gpus_else_the_cpu():
  strategy = distribution.make_strategy(_config().runtime)
  gpus = tf.config.list_physical_devices('GPU')
  assert strategy.num_replicas_in_sync == max(1, len(gpus))
  assert ('GPU' if gpus else 'CPU') in distribution.describe(
    strategy, _config()
  )


def test_description_names_the_batch_of_a_replica():
  text = distribution.describe(_two_replicas(), _config())
  assert text == (
    '2 x CPU (MirroredStrategy): 64 examples a step, 32 a replica '
    '(128 rows with the 4 members)'
  )
  single = distribution.describe(
    tf.distribute.OneDeviceStrategy('CPU:0'),
    _config('task.model.ensemble_size=1'),
  )
  assert single == (
    '1 x CPU (OneDeviceStrategy): 64 examples a step, 64 a replica'
  )


@pytest.mark.parametrize('name', ['train_data', 'validation_data'])
def test_replicas_must_divide_the_batches(name):
  field = f'task.{name}.global_batch_size'
  with refusals.refused(field, 33):
    distribution.describe(_two_replicas(), _config(f'{field}=33'))
  # Evaluation does not use the training batch.
  if name == 'train_data':
    text = distribution.describe(
      _two_replicas(), _config(f'{field}=33'), training=False
    )
    assert text.startswith('2 x CPU')


@pytest.mark.parametrize(
  'text, name, value',
  [
    ('runtime.num_gpus=1000', 'runtime.num_gpus', 1000),
    ('runtime.num_gpus=-1', 'runtime.distribution_strategy', 'mirrored'),
    (
      'runtime.distribution_strategy=bogus',
      'runtime.distribution_strategy',
      'bogus',
    ),
  ],
)
def test_devices_that_are_not_there_are_named(text, name, value):
  with refusals.refused(name, value):
    distribution.make_strategy(_config(text).runtime)


def test_tpu_that_is_not_there_is_named():
  if tf.config.list_physical_devices('TPU'):
    pytest.skip('there is a TPU')
  with refusals.refused('runtime.tpu', 'local'):
    distribution.make_strategy(_config('runtime.tpu=local').runtime)


def test_paths_of_members():
  assert training.member_paths('a', 2) == ['a/member_0', 'a/member_1']
