"""Exports a BatchEnsemble that was trained with Keras, without a run."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import models, runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import run_export, saved_model
from uncertainty_distill.io import files

import numpy as np
import tf_keras


def export_model(
  model: tf_keras.Model, directory: str, class_names: Sequence[str] = ()
) -> None:
  """Writes a SavedModel as `export` does.

  Args:
    model: A model that `models.batch_ensemble` returned, from images
      [B, H, W, 3] of 0..255 to logits [E, B, K].
    directory: The folder to write to. A SavedModel in it is replaced.
    class_names: K names; if empty, the labels as text.

  Raises:
    InputError: If the model is not as described or returns probabilities, if
      there are not K distinct names, or if the folder cannot be written or
      holds anything but a SavedModel.
  """
  run_export.check_replaceable(directory)
  if not isinstance(model, models.BatchEnsemble):
    raise InputError(
      'path',
      type(model).__name__,
      'a run, a SavedModel, or a model that `batch_ensemble` returned',
    )
  shape = model.input_shape[1:]  # pyright: ignore[reportOptionalSubscript]
  if len(shape) != 3 or None in shape or shape[-1] != 3:
    raise InputError('path', list(shape), 'a model of images [H, W, 3]')
  logits = _try(model, shape)
  count = logits.shape[-1]
  if class_names and not len(class_names) == len({*class_names}) == count:
    raise InputError(
      'class_names', list(class_names), f'{count} distinct names'
    )
  runs.make_writable(files.parent(directory), 'directory')
  saved_model.export_saved_model(
    model, shape, directory, class_names=class_names
  )


def _try(model, shape):
  """Returns the logits of random images.

  Raises:
    InputError: If the outputs are not [E, B, K] with K > 1, or seem to be
      probabilities.
  """
  images = np.random.default_rng(0).integers(0, 256, (8, *shape))
  logits = np.asarray(model(images.astype(np.uint8), training=False))
  if logits.ndim != 3 or logits.shape[-1] < 2:
    raise InputError(
      'path',
      list(logits.shape),
      'a model that returns logits [E, B, K] of at least two classes',
    )
  # A last layer that starts from zeros returns only zeros.
  if logits.min() >= 0 and logits.max() <= 1 and logits.any():
    raise InputError(
      'path',
      'probabilities',
      'a model that returns logits',
      'leave out the last softmax or sigmoid before `batch_ensemble`',
      message='the model returns probabilities, but it must return logits to '
      'be exported',
    )
  return logits
