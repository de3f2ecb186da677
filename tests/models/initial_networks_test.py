"""Tests that networks have the names, weights and logits of version 0.1.0.

`initial_networks.json` holds what version 0.1.0 built from seed 7: each
variable's name, shape, sum, first and last value, the keys of a checkpoint, and
each member's logits for the first of several random images.
"""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_networks

_CASES = json.loads(
  pathlib.Path(__file__).with_name('initial_networks.json').read_text()
)


def _build(case):
  tf_keras.utils.set_random_seed(7)
  tf_keras.mixed_precision.set_global_policy(case['policy'])
  try:
    return tiny_networks.build(
      mean=(0.3, 0.5, 0.7), stddev=(0.2, 0.25, 0.3), **case['config']
    )
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')


def _images(count):
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize('case', _CASES, ids=lambda c: str(c['config']))
def test_networks_are_those_of_version_0_1_0(case, tmp_path):
  model = _build(case)
  names, shapes, *numbers = zip(*case['variables'])
  assert [v.name for v in model.weights] == list(names)
  assert [v.shape.as_list() for v in model.weights] == list(shapes)
  values = [v.numpy().ravel().astype(np.float64) for v in model.weights]
  found = [[v.sum(), v[0], v[-1]] for v in values]
  np.testing.assert_allclose(found, np.transpose(numbers), rtol=2e-6, atol=1e-4)
  path = tf.train.Checkpoint(model=model).write(str(tmp_path / 'checkpoint'))
  keys = {name for name, _ in tf.train.list_variables(path)}
  keys -= {
    '_CHECKPOINTABLE_OBJECT_GRAPH',
    'save_counter/.ATTRIBUTES/VARIABLE_VALUE',
  }
  assert keys == set(case['checkpoint'])
  tolerance = 1e-4 if case['policy'] == 'float32' else 0.05
  for count, wanted in case['logits'].items():
    training = count == 'training'
    images = _images(6 if training else int(count))
    logits = model(images, training=training)[:, 0]
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(
      np.ravel(logits) / scale, np.array(wanted) / scale, atol=tolerance
    )
