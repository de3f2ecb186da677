"""Tests of the networks of `tf_keras.applications` as BatchEnsembles."""

from uncertainty_distill import models

import numpy as np
import plain_networks
import pytest
import tf_keras

# Each test takes half a minute.
pytestmark = pytest.mark.slow

_CASES = [
  ('MobileNetV2', 32, {'alpha': 0.35}),
  ('MobileNetV3Small', 32, {'alpha': 0.75}),
  ('ResNet50', 32, {}),
  ('ResNet50V2', 32, {}),
  ('EfficientNetB0', 32, {}),
  ('DenseNet121', 32, {}),
  ('VGG16', 32, {}),
  ('ConvNeXtTiny', 32, {}),
  ('Xception', 71, {}),
]


@pytest.mark.parametrize('name, size, options', _CASES)
def test_members_are_networks_with_their_weights(name, size, options, tmp_path):
  tf_keras.utils.set_random_seed(0)
  plain = getattr(tf_keras.applications, name)(
    input_shape=(size, size, 3),
    weights=None,
    classes=5,
    classifier_activation=None,
    **options,
  )
  plain_networks.randomize(plain)
  images = plain_networks.images(plain, 2)
  equal = models.batch_ensemble(plain, 2, fast_weights='ones')
  want = plain(images, training=False)
  plain_networks.assert_same(equal(images), [want] * 2)
  converted = models.batch_ensemble(plain, 2, fast_weight_stddev=0.1)
  logits = converted(images, training=False)
  assert np.abs(logits[0] - logits[1]).max() > 1e-3 * np.abs(logits).max()
  plain.set_weights(models.member(converted, 1).get_weights())
  want = plain(images, training=False)
  plain_networks.assert_same(logits[1], want, 1e-4)
  path = str(tmp_path / 'saved.keras')
  converted.save(path)
  # Keras cannot load ConvNeXt's LayerScale unless it is given the class.
  known = {
    type(layer).__name__: type(layer)
    for layer in plain.layers
    if type(layer).__name__ == 'LayerScale'
  }
  loaded = tf_keras.models.load_model(path, known)
  np.testing.assert_array_equal(loaded(images), logits)
