"""Tests of TensorFlow Lite files."""

from uncertainty_distill import exporting

import numpy as np
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
