"""Writes a SavedModel that serves predictions with their uncertainty."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import metrics
from uncertainty_distill.data import pictures
from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import (
  freezing,
  predictive_distribution,
  warmup,
)
from uncertainty_distill.io import files, locks
from uncertainty_distill.runtime import signals
from uncertainty_distill.trained import saved_models

import tensorflow as tf
import tf_keras


def export_saved_model(
  model: tf_keras.Model,
  image_shape: Sequence[int],
  directory: str,
  *,
  class_names: Sequence[str] = (),
  temperature: float = 1.0,
  documents: Mapping[str, str] | None = None,
  image_fit: str = 'resize',
  sets: metrics.PredictionSets | None = None,
) -> str:
  """Writes a SavedModel that can be loaded with TensorFlow alone.

  It has two signatures. `serving_default` takes `images`, uint8
  [None, H, W, 3]. `serve_encoded` takes `image_bytes`, string [None]: PNG or
  JPEG files of any size, see `data.pictures`. Both take any number of images,
  including none. They return the outputs of `outputs_from_logits` and
  `class_name`, string [B].

  `assets.extra/` holds warm-up requests for TensorFlow Serving, and the class
  names, one on each line. On a local disk, the folder appears only when it is
  complete, and replaces any earlier folder at this path. In an object store, an
  earlier folder is removed first, and `saved_model.pb` is written last.

  Args:
    model: A model that takes images and returns logits [E, B, K].
    image_shape: H, W, C.
    directory: The folder to write to.
    class_names: K names; if empty, the labels as text.
    temperature: The number that divides the members' logits.
    documents: Text files to add, by their paths in the folder.
    image_fit: How pictures in files are fitted to the model's size: `resize`,
      `crop` or `pad`.
    sets: The rule of the prediction sets; None for no prediction sets.

  Returns:
    The directory.

  Raises:
    InputError: If the name of a class has several lines.
  """
  logits = freezing.freeze(model, image_shape)
  num_classes = logits(tf.zeros([1, *image_shape], tf.uint8)).shape[-1]
  if any('\n' in name for name in class_names):
    raise InputError('class_names', list(class_names), 'names of one line each')
  names = list(class_names) or list(map(str, range(num_classes)))  # pyright: ignore[reportArgumentType]
  signatures = _signatures(
    logits, image_shape, names, temperature, image_fit, sets
  )
  # The module tracks only the functions and the weights: Keras layers would add
  # their own traces and their Python classes.
  module = tf.Module()
  module.weights = list(getattr(logits, 'variables', ()))  # pyright: ignore[reportAttributeAccessIssue]
  _write(
    module,
    signatures,
    image_shape,
    _documents(names, image_fit, sets) | dict(documents or {}),
    directory,
  )
  return directory


def _signatures(
  logits, image_shape, names, temperature, image_fit, sets
) -> dict[str, Any]:
  """Returns the functions to serve, by the names of their signatures."""

  def answer(images):
    # A session does not check its inputs against the signature, and the network
    # would take images of any size, even gray ones.
    images = tf.ensure_shape(images, [None, *image_shape])
    outputs = predictive_distribution.outputs_from_logits(
      _of_any_number(logits, images), temperature, sets
    )
    return predictive_distribution.with_class_names(outputs, names)

  @_signature(tf.TensorSpec([None, *image_shape], tf.uint8, name='images'))
  def serve(images):
    return answer(images)

  @_signature(tf.TensorSpec([None], tf.string, name='image_bytes'))
  def serve_encoded(image_bytes):
    size = image_shape[:2]
    return answer(pictures.decode_images(image_bytes, size, image_fit))

  return {'serving_default': serve, 'serve_encoded': serve_encoded}


def _documents(class_names, image_fit, sets) -> dict[str, str]:
  """Returns text files with what the graph lacks, by their paths."""
  documents = {saved_models.CLASS_NAMES_FILE: '\n'.join([*class_names, ''])}
  if image_fit != 'resize':
    documents[saved_models.IMAGE_FIT_FILE] = image_fit
  if sets:
    rule = json.dumps(dataclasses.asdict(sets), indent=1)
    documents[saved_models.SETS_FILE] = rule
  return documents


def _write(module, signatures, image_shape, documents, directory) -> None:
  """Writes the folder; on a local disk, completely or not at all."""
  # An object store cannot rename folders, so files are written in place there.
  # The file saved_model.pb, which makes a folder a SavedModel, is written after
  # the weights.
  is_remote = files.is_remote(directory)
  if not is_remote:
    # If the path is a link, its target is replaced, not the link.
    directory = os.path.realpath(directory)
  written = directory if is_remote else _beside(directory, 'partial')
  with (
    signals.defer(),
    # In an object store, the lock of a killed export would stay.
    locks.lock_folder(
      _beside(directory, 'export'), 'directory', enabled=not is_remote
    ),
  ):
    # The file that makes a folder a SavedModel goes first.
    files.remove(os.path.join(written, saved_models.GRAPH_FILE))
    files.remove(written)
    try:
      # First: an interrupted export must not leave a SavedModel without them.
      _write_extra(written, image_shape, documents)
      tf.saved_model.save(module, written, signatures=signatures)
      signals.check()
      if not is_remote:
        _replace(directory, written)
    finally:
      if not is_remote:
        files.remove(written)


def _replace(directory: str, written: str) -> None:
  """Moves the folder `written` to `directory`, replacing any folder there."""
  # A rename cannot replace a folder that is not empty. The old folder is moved
  # aside first, and stays complete until the new folder is in its place.
  old = _beside(directory, 'replaced')
  files.remove(old)
  files.flush(written)
  if os.path.exists(directory):
    os.replace(directory, old)
  os.replace(written, directory)
  files.remove(old)


def _beside(directory: str, what: str) -> str:
  """Returns a hidden path beside a folder, for temporary files."""
  folder, name = os.path.split(directory.rstrip('/'))
  return os.path.join(folder, f'.{name}.{what}')


def _signature(spec: tf.TensorSpec):
  """Returns a decorator that compiles a function of one argument."""
  return tf.function(input_signature=[spec], autograph=False)


def _of_any_number(logits, images):
  """Applies a network to images [B, H, W, C], where B may be 0."""
  # TensorFlow's convolutions on CPUs get the shape of an empty batch wrong. So
  # the network computes one black image in place of an empty batch.
  count = tf.shape(images)[0]
  missing = tf.cast(tf.equal(count, 0), tf.int32)
  padded = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])  # pyright: ignore[reportArgumentType]
  return logits(padded)[:, :count]


def _write_extra(
  folder: str, image_shape: Sequence[int], documents: Mapping[str, str]
) -> None:
  """Writes the files that accompany the graph."""
  warmup_file = os.path.join(folder, warmup.FILE)
  files.make_folder(os.path.dirname(warmup_file))
  warmup.write_warmup(warmup_file, image_shape)
  for name, text in documents.items():
    files.write_text(os.path.join(folder, name), text)
