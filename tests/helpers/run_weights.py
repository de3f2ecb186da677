"""Reads the checkpoints of runs and compares two of them."""

import os

import numpy as np
import tensorflow as tf


def tensors(run):
  """Returns everything in a run's newest checkpoint, by name."""
  reader = tf.train.load_checkpoint(run.checkpoint)
  names = [
    name
    for name in reader.get_variable_to_shape_map()
    # The object graph has no value; the counter counts checkpoints.
    if not name.startswith(('_CHECKPOINTABLE', 'save_counter'))
  ]
  return {name: np.asarray(reader.get_tensor(name)) for name in names}


def weights(run, step):
  """Returns the weights and moving statistics of a run's step, by name."""
  reader = tf.train.load_checkpoint(os.path.join(run.path, f'ckpt-{step}'))
  return {
    name: np.asarray(reader.get_tensor(name))
    for name in reader.get_variable_to_shape_map()
    if name.startswith('model/') and '.OPTIMIZER_SLOT' not in name
  }


def assert_same_bits(run, expected):
  """Asserts that two runs ended in the same state."""
  actual, expected = tensors(run), tensors(expected)
  assert actual.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(actual[name], value, err_msg=name)


def assert_same_but_for_rounding(run, expected, step):
  """Asserts that two runs have the same weights after a few steps."""
  actual, expected = weights(run, step), weights(expected, step)
  assert actual.keys() == expected.keys()
  # float32 has steps of 1e-7; sums over a batch, taken in another order, lose
  # a digit, and seven steps of training lose another one. A tensor's largest
  # value is the measure, since its small ones are sums that cancel.
  for name, value in expected.items():
    scale = max(np.abs(value).max(), 1.0)
    np.testing.assert_allclose(
      actual[name], value, rtol=0, atol=3e-5 * scale, err_msg=name
    )
