"""Tests of SavedModels that cannot be teachers."""

from uncertainty_distill import errors, trained
from uncertainty_distill.trained import saved_models

import foreign
import pytest
import tensorflow as tf


def _unnamed(module):
  return lambda x: {'m': module.logits(x)}


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
  'function, message',
  [
    (_sums_to_two, 'probabilities; .* are no probabilities that sum to 1'),
    (_softmax_as_logits, 'logits; .* name are probabilities that sum to 1'),
    (_sigmoids, 'between 0 and 1; if they are logits, name them logits'),
    (_two_unnamed, r'member_logits, .*this one returns a, b'),
    (_labels, 'or a single output of floats; this one returns no floats'),
    (_members_first, r'm as \[B, K\] .* for 17 images it returns \[2, 17, 4\]'),
    (_not_a_number, 'finite; it returns infinity or NaN'),
    (_features, r'for 17 images it returns \[17, 6, 6, 3\]'),
  ],
)
def test_refuses_what_it_returns(function, message, tmp_path):
  module = foreign.Linear(2)
  path = foreign.save(tmp_path / 'served', module, function(module))
  with pytest.raises(errors.InputError, match=message) as caught:
    foreign.load(path)
  assert path in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'shape, dtype, message',
  [
    ([8, None, None, 3], tf.uint8, 'any number of images; this one takes 8'),
    ([None, None, 3], tf.uint8, r'takes uint8 \(None, None, 3\)'),
    (foreign.SIZES, tf.int32, r'takes int32 \(None, None, None, 3\)'),
    ([None, None, 8, 3], tf.uint8, r'\[6, 6, 3\]; this one takes \[None, 8, 3'),
    ([None, 8, 8, 3], tf.uint8, r'\[6, 6, 3\]; this one takes \[8, 8, 3\]'),
  ],
)
def test_refuses_what_it_takes(shape, dtype, message, tmp_path):
  module = foreign.Linear()

  def serve(images):
    images = tf.reshape(images, [tf.shape(images)[0], -1, 1, 3])
    return _logits(module)(images)

  path = foreign.save(tmp_path / 'served', module, serve, shape, dtype)
  with pytest.raises(errors.InputError, match=message) as caught:
    foreign.load(path)
  assert path in str(caught.value) and '\n' not in str(caught.value)


def test_refuses_what_fails_on_the_images(tmp_path):
  module = foreign.Linear()
  path = foreign.save(
    tmp_path / 'served',
    module,
    lambda x: {'logits': module.logits(tf.reshape(x, [-1, 5, 5, 3]))[:, 0]},
  )
  with pytest.raises(errors.InputError, match=r'ages \[6, 6, 3\]; ') as caught:
    foreign.load(path)
  assert path in str(caught.value) and '\n' not in str(caught.value)


def test_other_classes_and_unknown_sizes_are_refused(tmp_path):
  module = foreign.Linear()
  path = foreign.save(tmp_path / 'served', module, _logits(module))
  with pytest.raises(errors.InputError, match='7 classes; this one has 4'):
    trained.load_ensemble([path], '--teacher', (6, 6, 3), 7, foreign.sample)
  with pytest.raises(errors.InputError, match='size is known; this one takes'):
    saved_models.ServedModel(path)
