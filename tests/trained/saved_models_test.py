"""Tests of SavedModels that other programs wrote."""

from uncertainty_distill import trained

import foreign
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from scipy import special


def _unnamed(module):
  return lambda x: {'m': module.logits(x)}


@pytest.mark.parametrize(
  'name, members, softmax, dtype',
  [
    ('dense', 0, False, tf.float32),
    ('dense', 0, True, tf.uint8),
    ('dense', 3, True, tf.bfloat16),
    ('member_logits', 3, False, tf.float32),
    ('member_probabilities', 1, True, tf.uint8),
    ('logits', 0, False, tf.uint8),
    ('probabilities', 0, True, tf.float32),
  ],
)
def test_any_output_and_input(name, members, softmax, dtype, tmp_path):
  module = foreign.Linear(max(members, 1))

  def serve(images):
    logits = module.logits(images)
    values = tf.nn.softmax(logits) if softmax else logits
    return {name: values if members else values[:, 0]}

  path = foreign.save(tmp_path / 'served', module, serve, dtype=dtype)
  opened = foreign.load(path)
  assert opened.ensemble_size == max(members, 1)
  assert opened.image_shape == (6, 6, 3)
  assert opened.num_classes == foreign.CLASSES
  images = foreign.images_of()
  want = module.expected(images)
  assert np.ptp(want, axis=-1).min() > 0.5
  for call in opened.ensemble(), tf.function(opened.ensemble()):
    logits = call(images)
    assert logits.shape == want.shape and logits.dtype == tf.float32
    np.testing.assert_allclose(
      special.softmax(logits, -1), special.softmax(want, -1), atol=1e-5
    )


def test_the_more_telling_of_several_outputs_counts(tmp_path):
  module = foreign.Linear(2)

  def serve(images):
    logits = module.logits(images)
    probs = tf.nn.softmax(logits)
    return {
      'label': tf.argmax(probs[:, 0], -1),
      'probabilities': tf.reduce_mean(probs, 1),
      'member_probabilities': probs,
      'features': logits,
    }

  opened = foreign.load(foreign.save(tmp_path / 'served', module, serve))
  assert opened.ensemble_size == 2
  images = foreign.images_of()
  np.testing.assert_allclose(
    tf.nn.softmax(opened.ensemble()(images)),
    special.softmax(module.expected(images), -1),
    atol=1e-5,
  )


@pytest.mark.parametrize('activation', [None, 'softmax'])
def test_what_keras_saves(activation, tmp_path, caplog):
  tf_keras.utils.set_random_seed(0)
  keras = tf_keras.Sequential(
    [
      tf_keras.layers.Input((6, 6, 3)),
      tf_keras.layers.Rescaling(1 / 255),
      tf_keras.layers.Conv2D(4, 3, activation='relu'),
      tf_keras.layers.BatchNormalization(),
      tf_keras.layers.Dropout(0.5),
      tf_keras.layers.Flatten(),
      tf_keras.layers.Dense(foreign.CLASSES, activation=activation, name='top'),
    ]
  )
  path = str(tmp_path / 'keras')
  keras.save(path, save_format='tf')
  opened = foreign.load(path)
  said = caplog.text
  caplog.clear()
  assert path in said and 'float32' in said
  assert ('probabilities' in said) == bool(activation)
  images = foreign.images_of()
  want = keras(images, training=False)
  if not activation:
    want = tf.nn.softmax(want)
  np.testing.assert_allclose(
    tf.nn.softmax(opened.ensemble()(images)[0]), want, atol=1e-5
  )
  # The warnings are not repeated.
  foreign.load(path)
  assert not caplog.messages


def test_stacks_with_others_in_order(tmp_path):
  modules = [foreign.Linear(2), foreign.Linear(1)]
  modules[1].variable.assign(-modules[1].variable)
  paths = [
    foreign.save(tmp_path / str(i), module, _unnamed(module))
    for i, module in enumerate(modules)
  ]
  opened = trained.open_trained(paths, 'teacher')
  opened.check_fits((6, 6, 3), foreign.CLASSES, foreign.sample)
  images = foreign.images_of()
  want = modules[0].expected(images)
  np.testing.assert_allclose(
    opened.ensemble()(images),
    np.concatenate([want, -modules[1].expected(images)]),
    atol=1e-4,
  )


def test_replicas_share_one(tmp_path, replicas):
  module = foreign.Linear(2)
  path = foreign.save(tmp_path / 's', module, _unnamed(module))
  with replicas.scope():
    model = foreign.load(path).ensemble()
  images = foreign.images_of(6)

  @tf.function
  def step(batch):
    return replicas.run(lambda x: model(x, training=False), args=(batch,))

  batches = replicas.experimental_distribute_values_from_function(
    lambda c: tf.constant(images[3 * c.replica_id_in_sync_group :][:3])
  )
  parts = replicas.experimental_local_results(step(batches))
  np.testing.assert_allclose(
    np.concatenate(parts, 1), module.expected(images), atol=1e-4
  )
