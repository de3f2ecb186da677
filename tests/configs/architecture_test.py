"""Tests of adding an architecture, as a class and a line in the registry."""

import dataclasses
import math

from uncertainty_distill import configs, data, models, ranges

import experiments
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused


@dataclasses.dataclass
class _Perceptron(models.Architecture):
  """One hidden layer."""

  units: int = ranges.field(8, ranges.AT_LEAST_1)

  @property
  def label(self):
    return f'MLP-{self.units}'

  def build(self, image_shape, num_classes, *, mean=(0.0,), **kwargs):
    images = tf_keras.Input(image_shape)
    x = tf_keras.layers.Flatten()(images / 255.0 - mean[0])
    x = tf_keras.layers.Dense(self.units, 'relu')(x)
    logits = tf_keras.layers.Dense(num_classes)(x)
    return tf_keras.Model(images, logits, name='perceptron')


@dataclasses.dataclass
class _Choice(models.ArchitectureChoice):
  perceptron: _Perceptron = dataclasses.field(default_factory=_Perceptron)


def _config(text):
  config = configs.load_config('digits_wrn10_1')
  config.task.model.architecture = _Choice()
  config.teacher.architecture = _Choice()
  kinds = ','.join(
    f'{name}.architecture.type=perceptron' for name in ('task.model', 'teacher')
  )
  configs.override_by_text(config, f'{kinds},task.objective.kind=cross_entropy')
  configs.override_by_text(config, text)
  return config


def _resolved(text):
  return configs.resolve(_config(text), data.open_dataset('digits'))


def test_its_fields_are_those_of_the_model():
  config = _config('task.model.units=5,teacher.units=6')
  assert config.task.model.architecture.perceptron.units == 5
  config.task.model.units = 7
  assert (config.task.model.units, config.teacher.units) == (7, 6)
  assert configs.member_config(config).task.model.units == 6
  values = config.task.model.as_dict()
  assert values['units'] == 7 and 'depth' not in values
  other = configs.ModelConfig(architecture=_Choice())
  configs.override(other, values, 'a test')
  assert other.architecture == config.task.model.architecture
  with refused('task.model.depth in params_override', 28, 'units'):
    _config('task.model.depth=28')
  with refused('task.model.units', 0):
    _resolved('task.model.units=0')
  with refused('task.model.architecture.type', 'resnet', 'wide_resnet'):
    _resolved('task.model.architecture.type=resnet')


@pytest.mark.parametrize('members', [1, 3])
def test_it_is_trained(members):
  task = experiments.task(_config(f'task.model.ensemble_size={members}'))
  config = task.task_config
  model = task.build_model()
  assert model.output_shape[0] == members
  # Two kernels and two biases form one group. Each member has its own biases.
  (group,) = config.model.l2_groups(model)
  shapes = [768 * 8, members * 8, 8 * 10, members * 10]
  assert [math.prod(v.shape) for v in group] == shapes
  (batch,) = task.build_inputs(config.train_data).take(1)
  optimizer = tf_keras.optimizers.SGD(0.01)
  metrics = task.build_metrics()
  losses = [
    float(task.train_step(batch, model, optimizer, metrics)['loss'])
    for _ in range(5)
  ]
  assert losses[-1] < losses[0]
  assert tf.reduce_all(tf.math.is_finite(model(batch['images'])))
