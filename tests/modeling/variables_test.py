"""Tests of which variables are fast weights and which are regularised."""

import pytest
import tensorflow as tf
import tf_keras

from uncertainty_distill import modeling


def _model(depth, width, ensemble_size, rank=1):
  return modeling.build_model(
      image_shape=(8, 8, 3), num_classes=5, depth=depth, width=width,
      mean=(0.5,) * 3, stddev=(0.25,) * 3, ensemble_size=ensemble_size,
      rank=rank,
  )


def _num_layers(depth, width):
  """Returns the numbers of convolutions and of BatchNorm layers."""
  blocks = 3 * (depth - 4) // 6
  # At width 1 the stem's 16 channels are those of the first group already.
  shortcuts = 2 if width == 1 else 3
  return 1 + 2 * blocks + shortcuts, 2 * blocks + 1


def _references(variables):
  references = {variable.ref() for variable in variables}
  assert len(references) == len(variables)  # None is listed twice.
  return references


@pytest.mark.parametrize(
    'depth, width, ensemble_size, rank',
    [(10, 1, 1, 1), (10, 1, 4, 1), (16, 2, 3, 2), (16, 2, 1, 1)],
)
def test_selects_by_layer(depth, width, ensemble_size, rank):
  model = _model(depth, width, ensemble_size, rank)
  convolutions, norms = _num_layers(depth, width)
  fast = _references(modeling.fast_weights(model))
  regularized = _references(modeling.regularized_weights(model))
  # Alpha and gamma of each layer; kernels, biases, and scales and offsets.
  dense = 1
  perturbed = convolutions + dense if ensemble_size > 1 else 0
  assert len(fast) == 2 * perturbed
  assert len(regularized) == convolutions + 2 * dense + 2 * norms
  assert not fast & regularized
  # What is left are the moving statistics.
  assert fast | regularized == _references(model.trainable_variables)
  moving = _references(model.non_trainable_variables)
  assert len(moving) == 2 * norms
  assert not moving & (fast | regularized)


def test_selects_what_is_meant():
  model = _model(10, 1, 2, rank=3)
  stem, logits = model.get_layer('stem'), model.get_layer('logits')
  fast = _references(modeling.fast_weights(model))
  regularized = _references(modeling.regularized_weights(model))
  assert {v.ref() for v in (stem.alpha, stem.gamma, logits.alpha)} <= fast
  wanted = stem.kernel, logits.kernel, logits.ensemble_bias
  assert {v.ref() for v in wanted} <= regularized
  assert stem.alpha.shape == (3, 2, 3) and stem.gamma.shape == (3, 2, 16)
  assert logits.ensemble_bias.shape == (2, 5)
  norm = model.get_layer('final_norm')
  # BatchNorm's scale is called gamma, too.
  assert {v.ref() for v in (norm.gamma, norm.beta)} <= regularized


def test_does_not_depend_on_names():
  images = tf_keras.Input((4, 4, 3))
  hidden = modeling.Conv2DBatchEnsemble(2, 1, ensemble_size=2, name='kernel')(
      images
  )
  hidden = tf_keras.layers.BatchNormalization(name='alpha')(hidden)
  logits = tf_keras.layers.Dense(2, use_bias=False, name='fast_weight')(hidden)
  model = tf_keras.Model(images, logits)
  conv, norm, dense = model.layers[1:]
  assert _references(modeling.fast_weights(model)) == _references(
      [conv.alpha, conv.gamma]
  )
  assert _references(modeling.regularized_weights(model)) == _references(
      [conv.kernel, conv.ensemble_bias, norm.gamma, norm.beta, dense.kernel]
  )


def test_finds_the_layers_of_every_member():
  models = [_model(10, 1, 1), _model(10, 1, 2)]
  ensemble = modeling.DeepEnsemble(models)
  ensemble(tf.zeros([2, 8, 8, 3], tf.uint8))
  for select in modeling.fast_weights, modeling.regularized_weights:
    parts = [v for model in models for v in select(model)]
    assert _references(select(ensemble)) == _references(parts)
