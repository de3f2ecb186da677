"""SavedModels of trained runs, with what their users need to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill import metrics, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import (
  calibration_examples,
  model_card,
  model_card_data,
  predictive_distribution,
  saved_model,
  temperature,
  tflite,
)
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
import tf_keras

SAVED_MODEL = 'saved_model'

_BATCH = 128


def _check_replaceable(directory: str) -> None:
  """Raises an InputError if a SavedModel there would cost other files."""
  is_new = not files.exists(directory) or (
    files.is_folder(directory) and not files.names(directory)
  )
  if not is_new and not trained.is_saved_model(directory):
    raise InputError(
      'directory',
      directory,
      'a new or empty folder, or a SavedModel',
      'the files in it would be lost',
    )


def export(
  paths: Sequence[str],
  directory: str,
  fit_temperature: bool = False,
  calibration_file: str = '',
) -> temperature.Calibration | None:
  """Exports a run, or several as a deep ensemble, as a SavedModel.

  Args:
    paths: Run folders, or SavedModels.
    directory: Where to write it.
    fit_temperature: Whether to divide the members' logits by a temperature.
    calibration_file: An `.npz` of `images` uint8 [N, H, W, 3] and `labels` [N]
      that no model was trained on, to fit it to; empty for the training
      examples that the runs held out.

  Returns:
    The temperature that was fitted, or None.

  Raises:
    InputError: If a run cannot be loaded, if the folder holds something other
      than a SavedModel, which is replaced, or cannot be written, or if
      there is nothing held out, or the calibration file is not as described or
      has test images in it.
  """
  _check_replaceable(directory)
  ensemble = trained.load_ensemble(paths, 'path')
  test_set = model_card_data.test_images(paths)
  calibration = None
  if fit_temperature:
    images, labels, source = calibration_examples.examples(
      paths, ensemble, calibration_file, test_set
    )
    calibration = temperature.fit_temperature(
      member_logits(ensemble.model, images), labels, source
    )
  runs.make_writable(files.parent(directory), 'directory')
  outputs = None
  if test_set:
    test_set = model_card_data.first(test_set)
    logits = member_logits(ensemble.model, test_set.numpy(slice(None)))
    outputs = predictive_distribution.outputs_from_logits(
      tf.constant(logits), calibration.temperature if calibration else 1.0
    )
  card = model_card_data.make_card(
    paths, ensemble, calibration, test_set, outputs
  )
  saved_model.export_saved_model(
    ensemble.model,
    ensemble.image_shape,
    directory,
    class_names=card.class_names,
    temperature=calibration.temperature if calibration else 1.0,
    documents={model_card.CARD_FILE: card.to_markdown()},
  )
  return calibration


def export_tflite(
  paths: Sequence[str],
  directory: str,
  file: str,
  calibration: temperature.Calibration | None,
) -> str:
  """Writes a TensorFlow Lite file, and compares it with the SavedModel.

  Args:
    paths: Run folders, or SavedModels.
    directory: Of the SavedModel of the same runs and temperature.
    file: The TensorFlow Lite file.
    calibration: The SavedModel's temperature, if it has one.

  Returns:
    A Markdown table: accuracy, ECE and agreement on test images.

  Raises:
    InputError: If a run cannot be loaded, or the file cannot be written.
  """
  ensemble = trained.load_ensemble(paths, 'path')
  temperature = calibration.temperature if calibration else 1.0
  runs.make_writable(files.parent(file), 'tflite')
  content = tflite.convert_to_tflite(
    ensemble.model, ensemble.image_shape, temperature
  )
  files.write_bytes(file, content)
  test_set = model_card_data.test_images(paths)
  if not test_set:
    return 'Not compared: the test images are not at hand.'
  test_set = model_card_data.first(test_set)
  served = trained.load_ensemble([directory], 'directory')
  images = test_set.numpy(slice(None))
  saved_probs = np.exp(member_logits(served.model, images))
  lite = tflite.tflite_runner(content)
  parts = [
    lite(images[start : start + _BATCH])['member_probabilities']
    for start in range(0, len(images), _BATCH)
  ]
  lite_probs = np.swapaxes(np.concatenate(parts), 0, 1)
  return comparison(
    {'SavedModel': saved_probs, 'TensorFlow Lite': lite_probs},
    test_set.labels,
  )


def comparison(probs: Mapping[str, np.ndarray], labels: np.ndarray) -> str:
  """Compares models with the first one, example by example.

  Args:
    probs: Each model's member probabilities [E, N, K].
    labels: [N].

  Returns:
    A Markdown table: accuracy, ECE, the share of equal predictions, and the
    largest difference of a mean probability.
  """
  means = {name: value.mean(0) for name, value in probs.items()}
  first = next(iter(means.values()))
  lines = [
    f'On {len(labels)} test images:\n',
    '| Model | Accuracy | ECE | Same predictions | Largest difference |',
    '|---|--:|--:|--:|--:|',
  ]
  for name, mean in means.items():
    values = metrics.figures(
      metrics.sufficient_statistics(
        tf.math.log(tf.constant(probs[name]) + 1e-30), labels
      )
    )
    agreement = (mean.argmax(-1) == first.argmax(-1)).mean()
    lines.append(
      f'| {name} | {values["accuracy"]:.4f} | {values["ece"]:.4f} '
      f'| {agreement:.1%} | {np.abs(mean - first).max():.1e} |'
    )
  return '\n'.join(lines)


def member_logits(model: tf_keras.Model, images: np.ndarray) -> np.ndarray:
  """Returns logits [E, N, K] of images uint8 [N, H, W, C], batch by batch."""
  infer = tf.function(
    lambda batch: model(batch, training=False), autograph=False
  )
  size = min(_BATCH, len(images))
  # A last batch of another size would be compiled for it.
  count = -(-len(images) // size) * size
  padded = np.resize(images, (count, *images.shape[1:]))
  parts = [
    infer(tf.constant(padded[start : start + size])).numpy()
    for start in range(0, count, size)
  ]
  return np.concatenate(parts, 1)[:, : len(images)]
