"""Tests of SavedModels that other programs wrote, and of what is refused."""

import numpy as np
import pytest
from scipy import special
import tensorflow as tf
import tf_keras

from uncertainty_distill import errors
from uncertainty_distill import teachers
from uncertainty_distill.teachers import saved_models

_SIZES = (None, None, None, 3)
_CLASSES = 4


def _images(count=5, size=6):
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


class _Linear(tf.Module):
  """Members that see the mean colour of an image alone."""

  def __init__(self, members=1):
    super().__init__()
    generator = np.random.default_rng(1)
    self._weights = generator.normal(size=(members, 3, _CLASSES)) / 50
    self.variable = tf.Variable(self._weights, dtype=tf.float32)

  def logits(self, images):
    """Returns [B, E, K]."""
    colors = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
    return tf.einsum('bc,eck->bek', colors, self.variable)

  def expected(self, images):
    """Returns logits [E, B, K], by NumPy."""
    return images.mean((1, 2)) @ self._weights


def _save(path, module, function, shape=_SIZES, dtype=tf.uint8):
  """Writes a SavedModel of a function of images."""
  module.function = tf.function(
      function, [tf.TensorSpec(shape, dtype, name='pixels')]
  )
  tf.saved_model.save(
      module, str(path), signatures={'serving_default': module.function}
  )
  return str(path)


def _sample():
  return _images(30)


def _load(path, sample=_sample):
  return teachers.load_ensemble(
      [path], '--teacher', (6, 6, 3), _CLASSES, sample
  )


def _unnamed(module):
  return lambda x: {'m': module.logits(x)}


@pytest.mark.parametrize('name, members, softmax, dtype', [
    ('dense', 0, False, tf.float32),
    ('dense', 0, True, tf.uint8),
    ('dense', 3, True, tf.bfloat16),
    ('member_logits', 3, False, tf.float32),
    ('member_probabilities', 1, True, tf.uint8),
    ('logits', 0, False, tf.uint8),
    ('probabilities', 0, True, tf.float32),
])
def test_any_output_and_input(name, members, softmax, dtype, tmp_path):
  module = _Linear(max(members, 1))

  def serve(images):
    logits = module.logits(images)
    values = tf.nn.softmax(logits) if softmax else logits
    return {name: values if members else values[:, 0]}

  ensemble = _load(_save(tmp_path / 'served', module, serve, dtype=dtype))
  assert ensemble.ensemble_size == max(members, 1)
  assert (ensemble.image_shape, ensemble.num_classes) == ((6, 6, 3), _CLASSES)
  images = _images()
  want = module.expected(images)
  assert np.ptp(want, axis=-1).min() > 0.5
  for call in ensemble.model, tf.function(ensemble.model):
    logits = call(images)
    assert logits.shape == want.shape and logits.dtype == tf.float32
    np.testing.assert_allclose(
        special.softmax(logits, -1), special.softmax(want, -1), atol=1e-5
    )


def test_the_more_telling_of_several_outputs_counts(tmp_path):
  module = _Linear(2)

  def serve(images):
    logits = module.logits(images)
    probs = tf.nn.softmax(logits)
    return {
        'label': tf.argmax(probs[:, 0], -1),
        'probabilities': tf.reduce_mean(probs, 1),
        'member_probabilities': probs,
        'features': logits,
    }

  ensemble = _load(_save(tmp_path / 'served', module, serve))
  assert ensemble.ensemble_size == 2
  images = _images()
  np.testing.assert_allclose(
      tf.nn.softmax(ensemble.model(images)),
      special.softmax(module.expected(images), -1), atol=1e-5,
  )


@pytest.mark.parametrize('activation', [None, 'softmax'])
def test_what_keras_saves(activation, tmp_path, capsys):
  tf_keras.utils.set_random_seed(0)
  keras = tf_keras.Sequential([
      tf_keras.layers.Input((6, 6, 3)),
      tf_keras.layers.Rescaling(1 / 255),
      tf_keras.layers.Conv2D(4, 3, activation='relu'),
      tf_keras.layers.BatchNormalization(),
      tf_keras.layers.Dropout(0.5),
      tf_keras.layers.Flatten(),
      tf_keras.layers.Dense(_CLASSES, activation=activation, name='top'),
  ])
  path = str(tmp_path / 'keras')
  keras.save(path, save_format='tf')
  ensemble = _load(path)
  said = capsys.readouterr().err
  kind = 'probabilities' if activation else 'logits'
  assert f'{path}: its output top is taken for {kind}' in said
  assert 'float32, is given images of 0 to 255' in said
  images = _images()
  want = keras(images, training=False)
  if not activation:
    want = tf.nn.softmax(want)
  np.testing.assert_allclose(
      tf.nn.softmax(ensemble.model(images)[0]), want, atol=1e-5
  )
  # Once is enough.
  _load(path)
  assert not capsys.readouterr().err


def test_stacks_with_others_in_order(tmp_path):
  modules = [_Linear(2), _Linear(1)]
  modules[1].variable.assign(-modules[1].variable)
  paths = [
      _save(tmp_path / str(i), module, _unnamed(module))
      for i, module in enumerate(modules)
  ]
  ensemble = teachers.load_ensemble(
      paths, '--teacher', (6, 6, 3), _CLASSES, _sample
  )
  images = _images()
  want = modules[0].expected(images)
  np.testing.assert_allclose(
      ensemble.model(images),
      np.concatenate([want, -modules[1].expected(images)]), atol=1e-4,
  )


def test_replicas_share_one(tmp_path, replicas):
  module = _Linear(2)
  path = _save(tmp_path / 's', module, _unnamed(module))
  with replicas.scope():
    model = _load(path).model
  images = _images(6)

  @tf.function
  def step(batch):
    return replicas.run(lambda x: model(x, training=False), args=(batch,))

  batches = replicas.experimental_distribute_values_from_function(
      lambda c: tf.constant(images[3 * c.replica_id_in_sync_group:][:3])
  )
  parts = replicas.experimental_local_results(step(batches))
  np.testing.assert_allclose(
      np.concatenate(parts, 1), module.expected(images), atol=1e-4
  )


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


@pytest.mark.parametrize('function, message', [
    (_sums_to_two, 'probabilities; .* are no probabilities that sum to 1'),
    (_softmax_as_logits, 'logits; .* name are probabilities that sum to 1'),
    (_sigmoids, 'between 0 and 1; if they are logits, name them logits'),
    (_two_unnamed, r'member_logits, .*this one returns a, b'),
    (_labels, 'or a single output of floats; this one returns no floats'),
    (_members_first, r'm as \[B, K\] .* for 17 images it returns \[2, 17, 4\]'),
    (_not_a_number, 'finite; it returns infinity or NaN'),
    (_features, r'for 17 images it returns \[17, 6, 6, 3\]'),
])
def test_refuses_what_it_returns(function, message, tmp_path):
  module = _Linear(2)
  path = _save(tmp_path / 'served', module, function(module))
  with pytest.raises(errors.InputError, match=message) as caught:
    _load(path)
  assert path in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('shape, dtype, message', [
    ([8, None, None, 3], tf.uint8, 'any number of images; this one takes 8'),
    ([None, None, 3], tf.uint8, r'takes uint8 \(None, None, 3\)'),
    (_SIZES, tf.int32, r'takes int32 \(None, None, None, 3\)'),
    ([None, None, 8, 3], tf.uint8, r'\[6, 6, 3\]; this one takes \[None, 8, 3'),
    ([None, 8, 8, 3], tf.uint8, r'\[6, 6, 3\]; this one takes \[8, 8, 3\]'),
])
def test_refuses_what_it_takes(shape, dtype, message, tmp_path):
  module = _Linear()

  def serve(images):
    images = tf.reshape(images, [tf.shape(images)[0], -1, 1, 3])
    return _logits(module)(images)

  path = _save(tmp_path / 'served', module, serve, shape, dtype)
  with pytest.raises(errors.InputError, match=message) as caught:
    _load(path)
  assert path in str(caught.value) and '\n' not in str(caught.value)


def test_refuses_what_fails_on_the_images(tmp_path):
  module = _Linear()
  path = _save(
      tmp_path / 'served', module,
      lambda x: {'logits': module.logits(tf.reshape(x, [-1, 5, 5, 3]))[:, 0]},
  )
  with pytest.raises(errors.InputError, match=r'ages \[6, 6, 3\]; ') as caught:
    _load(path)
  assert path in str(caught.value) and '\n' not in str(caught.value)


def test_other_classes_and_unknown_sizes_are_refused(tmp_path):
  module = _Linear()
  path = _save(tmp_path / 'served', module, _logits(module))
  with pytest.raises(errors.InputError, match='7 classes; this one has 4'):
    teachers.load_ensemble([path], '--teacher', (6, 6, 3), 7, _sample)
  with pytest.raises(errors.InputError, match='size is known; this one takes'):
    saved_models.ServedModel(path)
