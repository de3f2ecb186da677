"""Converts models to TensorFlow Lite files, for the same outputs on a phone."""

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

  The file has the size of one network, because its members perturb activations.
  If they perturbed weights, every member's kernels would be stored as
  constants, and the file would be E times as large.

  Args:
    model: A model that takes images and returns logits [E, B, K].
    image_shape: H, W, C.
    temperature: The number that divides the members' logits.
    sets: The rule of the prediction sets; None for no prediction sets.

  Returns:
    The content of a file whose signature takes `images`, uint8 [B, H, W, C],
    and returns the outputs of `outputs_from_logits`. B is 1 until the input is
    resized.
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
  # By default the converter allows only builtin operations, so the file runs
  # without the Flex delegate, which contains TensorFlow.
  with silence.silence():
    return tf.lite.TFLiteConverter.from_concrete_functions(
      [concrete], model
    ).convert()


def tflite_runner(
  content: bytes,
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
  """Returns a function that runs a converted model on uint8 [B, H, W, C]."""
  # Silent, because the interpreter recommends another package, which nothing
  # else here needs.
  with silence.silence():
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
  return lambda images: runner(images=images)


@contextlib.contextmanager
def _perturbing_activations(model: tf_keras.Model) -> Iterator[None]:
  """Makes the model perturb activations when it is traced in this context."""
  # Layers that are made of two have it as a property of the first of these.
  found = [layer for layer in model.submodules if 'perturb' in vars(layer)]
  sides = [layer.perturb for layer in found]
  try:
    for layer in found:
      layer.perturb = 'activations'
    yield
  finally:
    for layer, side in zip(found, sides):
      layer.perturb = side
