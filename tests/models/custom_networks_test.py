"""Tests of the user's own networks, from functions and from Keras models."""

import importlib
import json
import sys

import uncertainty_distill as ud
from uncertainty_distill import models
from uncertainty_distill.runs import run_identity

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused

_MODULE = """
import tensorflow as tf
import tf_keras

def build(image_shape, num_classes):
  images = tf_keras.Input(image_shape)
  x = tf_keras.layers.Conv2D(8, 3, strides=2, activation='relu')(images / 255.0)
  x = tf_keras.layers.BatchNormalization()(x)
  x = tf_keras.layers.GlobalAveragePooling2D()(x)
  return tf_keras.Model(images, tf_keras.layers.Dense(num_classes)(x))

def nothing(image_shape, num_classes):
  return None

def nine(image_shape, num_classes):
  return build(image_shape, 9)

def probabilities(image_shape, num_classes):
  model = build(image_shape, num_classes)
  return tf_keras.Model(model.input, tf_keras.layers.Softmax()(model.output))

def nested(image_shape, num_classes):
  images = tf_keras.Input(image_shape)
  return tf_keras.Model(images, probabilities(image_shape, num_classes)(images))

def operation(image_shape, num_classes):
  model = build(image_shape, num_classes)
  return tf_keras.Model(model.input, tf.nn.softmax(model.output))

def activated(image_shape, num_classes):
  images = tf_keras.Input(image_shape)
  x = tf_keras.layers.Flatten()(images)
  return tf_keras.Model(
    images, tf_keras.layers.Dense(num_classes, activation=tf.nn.softmax)(x)
  )

class Head(tf_keras.Model):
  def __init__(self, num_classes):
    super().__init__()
    self.dense = tf_keras.layers.Dense(num_classes + 1)

  def call(self, images):
    return self.dense(tf.reduce_mean(images, [1, 2]))

def subclassed(image_shape, num_classes):
  images = tf_keras.Input(image_shape)
  return tf_keras.Model(images, Head(num_classes)(images))

def too_deep(image_shape, num_classes):
  x = images = tf_keras.Input(image_shape)
  for _ in range(4):
    x = tf_keras.layers.Conv2D(8, 3, strides=2)(x)
  x = tf_keras.layers.GlobalAveragePooling2D()(x)
  return tf_keras.Model(images, tf_keras.layers.Dense(num_classes)(x))
"""


@pytest.fixture(name='module')
def _module(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'custom_nets.py').write_text(_MODULE)
  yield
  sys.modules.pop('custom_nets', None)


def _config(**values):
  return ud.experiment(
    'digits_wrn10_1',
    {
      'trainer.epochs': 0.1,
      'trainer.base_learning_rate': 1e-9,
      'task.model.ensemble_size': 2,
      'task.model.fast_weights': 'ones',
      **values,
    },
  )


def _custom(function):
  return _config(
    **{
      'task.model.architecture.type': 'custom',
      'task.model.function': f'custom_nets:{function}',
    }
  )


@pytest.mark.parametrize(
  'function, value',
  [
    ('missing', 'custom_nets:missing'),
    ('nothing', 'NoneType'),
    ('nine', '[None, 16, 16, 3] -> [None, 9]'),
    ('probabilities', 'softmax'),
    ('nested', 'softmax'),
    ('operation', 'softmax'),
    ('activated', 'softmax'),
    ('subclassed', '[None, 16, 16, 3] -> [None, 11]'),
    ('too_deep', 'custom_nets:too_deep'),
  ],
)
def test_functions_that_make_no_network(module, function, value):
  with refused('task.model.function', value):
    ud.train(_custom(function), 'run')


@pytest.mark.parametrize(
  'values, name',
  [
    ({'function': 'custom_nets:too_deep'}, 'task.model.function'),
    ({'application': 'VGG16'}, 'image_shape'),
    ({'weights': 'missing.h5'}, 'task.model.weights'),
  ],
)
def test_a_wrong_student_is_known_before_its_teacher_is_trained(
  module, values, name, tmp_path
):
  kind = 'custom' if 'function' in values else 'keras_application'
  config = _config(
    **{'task.model.architecture.type': kind},
    **{f'task.model.{key}': value for key, value in values.items()},
  )
  with refused(name):
    ud.distill(config, 'run')
  assert not (tmp_path / 'run').exists()


def test_a_function_makes_the_network(module):
  run = ud.train(_custom('build'), 'run')
  assert run.config.task.model.function == 'custom_nets:build'
  assert ud.load('run').ensemble_size == 2


def test_a_given_network_is_trained_from_its_weights(module, tmp_path):
  teacher = ud.train(_custom('build'), 'teacher')
  made = {}
  exec(_MODULE, made)
  plain = made['build']((16, 16, 3), 10)
  images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
  expected = tf_keras.activations.softmax(plain(images)).numpy()
  ud.distill(_config(), 'student', teacher.path, student=plain)
  # The run folder holds all that is needed to load the student.
  sys.modules.pop('custom_nets')
  (tmp_path / 'custom_nets.py').unlink()
  found = ud.load('student').predict(images).member_probabilities
  for member in range(2):
    np.testing.assert_allclose(found[:, member], expected, atol=1e-3)


def test_models_that_cannot_be_given():
  layers = [
    keras.Input((16, 16, 3)),
    keras.layers.Flatten(),
    keras.layers.Dense(10),
  ]
  with refused('model', 'Sequential', 'tf_keras'):
    ud.train(_config(), 'run', keras.Sequential(layers))

  images = tf_keras.Input((16, 16, 3))
  x = tf_keras.layers.Lambda(lambda x: x / 255)(images)
  logits = tf_keras.layers.Dense(10)(tf_keras.layers.Flatten()(x))
  with refused('model', 'Lambda', 'registered'):
    ud.train(_config(), 'run', tf_keras.Model(images, logits))

  class Subclassed(tf_keras.Model):
    """A model without a graph."""

  with refused('model', 'Subclassed', 'functional'):
    ud.train(_config(), 'run', Subclassed())
  with refused('student', 'Subclassed', 'functional'):
    ud.distill(_config(), 'run', student=Subclassed())

  model = tf_keras.Model(
    images, tf_keras.layers.Dense(9)(tf_keras.layers.Flatten()(images))
  )
  with refused('model', '[None, 16, 16, 3] -> [None, 9]'):
    ud.train(_config(), 'run', model)

  class Mine(tf_keras.layers.Layer):
    """A layer that Keras does not know."""

  x = Mine()(tf_keras.layers.Flatten()(images))
  model = tf_keras.Model(images, tf_keras.layers.Dense(10)(x), name='mine')
  with refused('model', 'Mine', 'registered'):
    ud.train(_config(), 'run', model)


def test_a_network_has_one_identity_whatever_its_layers_names():
  made = {}
  exec(_MODULE, made)
  first, again, other = (
    models.KerasModel.of(made['build']((16, 16, 3), classes), 'model')
    for classes in (10, 10, 9)
  )
  assert first.definition != again.definition
  assert first.identity == again.identity != other.identity
  assert first.label == again.label == 'model'
  # So a notebook's cell, which builds the network anew, continues its run.
  configs = [_config(), _config()]
  for config, network in zip(configs, (first, again)):
    config.task.model.architecture.type = 'keras_model'
    config.task.model.architecture.keras_model = network
  assert run_identity.difference(*configs) is None
  assert configs[0].task.model.identity == configs[1].task.model.identity
  configs[1].task.model.architecture.keras_model = other
  name, *_ = run_identity.difference(*configs)
  assert name.endswith('definition')


def test_registered_layers_may_be_from_any_module(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(str(tmp_path))
  (tmp_path / 'own_layers.py').write_text(
    'import tf_keras\n\n'
    'class Half(tf_keras.layers.Layer):\n'
    '  def call(self, inputs):\n'
    '    return inputs / 2\n'
  )
  half = importlib.import_module('own_layers').Half
  layers = [
    tf_keras.Input((4, 4, 3)),
    half(),
    tf_keras.layers.Flatten(),
    tf_keras.layers.Dense(10),
  ]
  with refused('model', 'Half', 'registered'):
    models.KerasModel.of(tf_keras.Sequential(layers), 'model')
  register = tf_keras.saving.register_keras_serializable('own')
  layers[1] = register(half)()
  given = models.KerasModel.of(tf_keras.Sequential(layers), 'model')
  built = given.build((4, 4, 3), 10)
  assert isinstance(built.layers[0], half)


@pytest.mark.parametrize(
  'changes',
  [
    {'class_name': 'TFOpLambda', 'config': {'function': 'io.gfile.rmtree'}},
    {'class_name': 'TFOpLambda', 'config': {'function': 'load_op_library'}},
    {
      'class_name': 'SlicingOpLambda',
      'config': {'function': 'compat.v1.gfile.DeleteRecursively'},
    },
    {'class_name': 'TFOpLambda', 'config': 'io.gfile.rmtree'},
    {'class_name': 'TFOpLambda', 'config': {'function': 'nn.RNNCellWrapper'}},
    {
      'class_name': 'TFOpLambda',
      'config': {'function': 'ragged.map_flat_values'},
    },
    # By another name of the same class.
    {
      'class_name': 'tf_op_layer.TFOpLambda',
      'module': 'tf_keras.src.layers.core',
      'config': {'function': 'io.gfile.rmtree'},
    },
    {'class_name': 'TensorFlowOpLayer', 'config': {'node_def': {'op': 'Save'}}},
    {'class_name': 'InstanceMethod', 'config': {'attr_name': 'save'}},
    {'class_name': 'StringLookup', 'config': {'vocabulary': '/etc/passwd'}},
    # Keras looks up functions by `config`, whatever the registered name is.
    {
      'class_name': 'Activation',
      'module': 'keras.layers',
      'config': {
        'activation': {
          'class_name': 'function',
          'module': 'os',
          'config': 'system',
          'registered_name': 'uncertainty_distill>DenseBatchEnsemble',
        }
      },
    },
    # Keras imports the module, whatever is in it.
    {
      'class_name': 'Activation',
      'module': 'keras.layers',
      'config': {
        'activation': {
          'class_name': 'function',
          'module': 'runs.stranger.payload',
          'config': 'relu',
        }
      },
    },
    # The legacy loader reads functions from bytes.
    {
      'class_name': 'RNN',
      'config': {
        'cell': {
          'class_name': 'GRUCell',
          '__passive_serialization__': True,
          'config': {'units': 3},
        }
      },
    },
    {'class_name': ['TFOpLambda'], 'config': {}},
    {
      'class_name': 'ClassMethod',
      'config': {'cls_symbol': 'io.TFRecordWriter', 'method_name': 'close'},
    },
  ],
)
def test_a_definition_of_a_stranger_runs_nothing(changes, tmp_path):
  damaged = models.KerasModel(definition='{')
  with refused('task.model.definition'):
    damaged.build((8, 8, 3), 10)
  images = tf_keras.Input((8, 8, 3))
  logits = tf_keras.layers.Dense(10)(tf.reshape(images / 255, (-1, 192)))
  described = json.loads(tf_keras.Model(images, logits).to_json())
  (layer,) = (
    layer
    for layer in described['config']['layers']
    if layer['config'].get('function') == 'reshape'
  )
  name = layer['name']
  # Keras calls the function with this constant while it builds the network.
  victim = tmp_path / 'victim'
  victim.mkdir()
  layer.update(
    changes, inbound_nodes=[['_CONSTANT_VALUE', -1, str(victim), {}]]
  )
  if isinstance(layer['config'], dict):
    layer['config'] = {'name': name, **layer['config']}
  network = models.KerasModel(definition=json.dumps(described))
  with refused('task.model.definition'):
    network.build((8, 8, 3), 10)
  assert victim.exists()


def test_operations_on_arrays_and_functions_of_keras_are_known():
  images = tf_keras.Input((8, 8, 3))
  x = tf.concat([images[..., ::2], images[:, :, :, 1:2] ** 2], -1) / 255.0
  x = tf_keras.layers.Flatten()(tf.nn.relu(tf.transpose(x, (0, 2, 1, 3))))
  x = tf_keras.layers.Dense(10, activation=tf.nn.gelu)(x)
  model = tf_keras.Model(images, tf.where(x > 0, x, tf.math.sin(x)))
  built = models.KerasModel.of(model, 'model').build((8, 8, 3), 10)
  built.set_weights(model.get_weights())
  batch = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
  np.testing.assert_allclose(built(batch), model(batch), atol=1e-6)
