"""Tests of SavedModels that cannot be teachers."""

from uncertainty_distill.trained import saved_models

import foreign
import pytest
import refusals
import tensorflow as tf


def _logits(module):
  return lambda x: {'logits': module.logits(x)[:, 0]}


def _sums_to_two(module):
  return lambda x: {'probabilities': 2 * tf.nn.softmax(module.logits(x))}


def _softmax_as_logits(module):
  return lambda x: {'logits': tf.nn.softmax(module.logits(x))}


def _sigmoids(module):
  return lambda x: {'top': tf.sigmoid(module.logits(x))}


def _two_unnamed(module):
  return lambda x: {'a': module.logits(x), 'b': module.logits(x)}


def _labels(module):
  return lambda x: {'label': tf.argmax(module.logits(x), -1)}


def _members_first(module):
  return lambda x: {'m': tf.transpose(module.logits(x), [1, 0, 2])}


def _not_a_number(module):
  return lambda x: {'logits': module.logits(x) / 0 * 0}


def _features(module):
  return lambda x: {'top': tf.cast(x, tf.float32) + module.variable[0, 0, 0]}


@pytest.mark.parametrize(
  'function, expected, found',
  [
    (_sums_to_two, 'probabilities', 'sum to 1'),
    (_softmax_as_logits, 'logits', 'probabilities'),
    (_sigmoids, 'logits', 'between 0 and 1'),
    (_two_unnamed, 'member_logits', 'a, b'),
    (_labels, 'member_logits', 'no floats'),
    (_members_first, '[B, K]', '[2, 17, 4]'),
    (_not_a_number, 'finite', 'NaN'),
    (_features, '[B, K]', '[17, 6, 6, 3]'),
  ],
)
def test_refuses_what_it_returns(function, expected, found, tmp_path):
  module = foreign.Linear(2)
  path = foreign.save(tmp_path / 'served', module, function(module))
  with refusals.refused('teacher', path, expected) as caught:
    foreign.load(path)
  assert found in str(caught.value)


@pytest.mark.parametrize(
  'shape, dtype, expected, found',
  [
    ([8, None, None, 3], tf.uint8, 'any number of images', '8 at a time'),
    ([None, None, 3], tf.uint8, '[B, H, W, C]', 'uint8 (None, None, 3)'),
    (foreign.SIZES, tf.int32, '[B, H, W, C]', 'int32 (None, None, None, 3)'),
    ([None, None, 8, 3], tf.uint8, '[6, 6, 3]', 'takes [None, 8, 3]'),
    ([None, 8, 8, 3], tf.uint8, '[6, 6, 3]', '[8, 8, 3]'),
  ],
)
def test_refuses_what_it_takes(shape, dtype, expected, found, tmp_path):
  module = foreign.Linear()

  def serve(images):
    images = tf.reshape(images, [tf.shape(images)[0], -1, 1, 3])
    return _logits(module)(images)

  path = foreign.save(tmp_path / 'served', module, serve, shape, dtype)
  with refusals.refused('teacher', path, expected) as caught:
    foreign.load(path)
  assert found in str(caught.value)


def test_refuses_what_fails_on_the_images(tmp_path):
  module = foreign.Linear()
  path = foreign.save(
    tmp_path / 'served',
    module,
    lambda x: {'logits': module.logits(tf.reshape(x, [-1, 5, 5, 3]))[:, 0]},
  )
  with refusals.refused('teacher', path, '[6, 6, 3]'):
    foreign.load(path)


def test_other_classes_and_unknown_sizes_are_refused(tmp_path):
  module = foreign.Linear()
  path = foreign.save(tmp_path / 'served', module, _logits(module))
  with refusals.refused('teacher', path, '7 classes'):
    foreign.load(path, num_classes=7)
  with refusals.refused('path', path, 'known size'):
    saved_models.ServedModel(path)
