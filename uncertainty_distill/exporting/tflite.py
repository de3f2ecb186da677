"""TensorFlow Lite: the same outputs on a phone, in a file of one network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from uncertainty_distill import metrics
from uncertainty_distill.exporting import predictive_distribution, silence

import numpy as np
import tensorflow as tf
import tf_keras


def convert_to_tflite(
  model: tf_keras.Model,
  image_shape: Sequence[int],
  temperature: float = 1.0,
  sets: metrics.PredictionSets | None = None,
) -> bytes:
  """Converts a model to TensorFlow Lite's builtin operations, in float32.

  The members perturb activations here: as constants, their kernels would make
  the file E times as large.

  Args:
    model: Takes images and returns logits [E, B, K].
    image_shape: H, W, C.
    temperature: Divides the members' logits.
    sets: The rule of the prediction sets; None for none.

  Returns:
    A file whose signature takes `images`, uint8 [B, H, W, C], B being 1 until
    the input is resized, and returns what `outputs_from_logits` does.
  """

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, *image_shape], tf.uint8, name='images')
    ],
    autograph=False,
  )
  def answer(images):
    logits = model(images, training=False)
    return predictive_distribution.outputs_from_logits(
      logits, temperature, sets
    )

  with _perturbing_activations(model):
    concrete = answer.get_concrete_function()
  # Only builtin operations are allowed by default, so that no delegate with
  # TensorFlow inside is needed to run the file.
  with silence.silence():
    return tf.lite.TFLiteConverter.from_concrete_functions(
      [concrete], model
    ).convert()


def tflite_runner(
  content: bytes,
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
  """Returns a function that runs a converted model on uint8 [B, H, W, C]."""
  # The interpreter recommends another package, which nothing else here needs.
  with silence.silence():
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
  return lambda images: runner(images=images)


@contextlib.contextmanager
def _perturbing_activations(model: tf_keras.Model) -> Iterator[None]:
  """Traces of the model within it perturb activations."""
  layers = [layer for layer in model.submodules if hasattr(layer, 'perturb')]
  sides = [layer.perturb for layer in layers]
  try:
    for layer in layers:
      layer.perturb = 'activations'
    yield
  finally:
    for layer, side in zip(layers, sides):
      layer.perturb = side
