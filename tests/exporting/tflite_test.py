"""Tests of TensorFlow Lite files."""

from uncertainty_distill import exporting, models

import numpy as np
import tf_keras
import tiny_networks


def test_answers_as_the_model_in_the_size_of_one_network():
  model = tiny_networks.build(
    image_shape=(16, 16, 3),
    num_classes=4,
    depth=10,
    width=2,
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
    ensemble_size=4,
  )
  content = exporting.convert_to_tflite(model, (16, 16, 3), temperature=2.0)
  weights = sum(v.shape.num_elements() * 4 for v in model.weights)
  assert weights < len(content) < 1.25 * weights
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
  # The runner has no Flex delegate, so the file has only builtin operations.
  run = exporting.tflite_runner(content)
  for count in 1, 9:
    logits = model(images[:count], training=False)
    want = exporting.outputs_from_logits(logits, temperature=2.0)
    got = run(images[:count])
    assert set(got) == set(want)
    for key in want:
      np.testing.assert_allclose(got[key], want[key], atol=1e-5)
  assert {
    layer.perturb for layer in model.layers if hasattr(layer, 'perturb')
  } == {'auto'}


def test_layers_that_are_made_of_two_are_converted():
  tf_keras.utils.set_random_seed(0)
  plain = tf_keras.Sequential(
    [
      tf_keras.Input((8, 8, 3)),
      tf_keras.layers.SeparableConv2D(4, 3),
      tf_keras.layers.GlobalAveragePooling2D(),
      tf_keras.layers.Dense(5),
    ]
  )
  model = models.batch_ensemble(plain, 2)
  run = exporting.tflite_runner(exporting.convert_to_tflite(model, (8, 8, 3)))
  images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
  want = exporting.outputs_from_logits(model(images.astype(np.float32)))
  got = run(images)['probabilities']
  np.testing.assert_allclose(got, want['probabilities'], atol=1e-5)
