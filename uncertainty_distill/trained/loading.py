"""A teacher from the folders of trained models."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

from uncertainty_distill import models, runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files
from uncertainty_distill.trained import saved_models

import numpy as np
import tf_keras

# Returns uint8 images [N, H, W, C]; called where they are needed.
Sample = Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Ensemble:
  """A trained ensemble and what it takes and gives.

  Attributes:
    model: Takes images [B, H, W, C] and returns logits [M, B, K].
    image_shape: H, W, C.
    num_classes: K.
    ensemble_size: M.
  """

  model: tf_keras.Model
  image_shape: tuple[int, ...]
  num_classes: int
  ensemble_size: int


def is_saved_model(path: str) -> bool:
  """Tells whether a folder is a SavedModel."""
  return files.is_file(os.path.join(path, 'saved_model.pb'))


def open_trained(path: str, argument: str) -> runs.RunFolder:
  """Opens a run folder whose training has come to its end.

  Args:
    path: Of the folder.
    argument: The flag that it comes from, for the message of an error.

  Raises:
    InputError: If it is no run, or not a complete one.
  """
  run = runs.open_run(path, argument)
  if not run.is_complete:
    raise InputError(
      argument, path, 'a run that was trained to its end', run.state
    )
  return run


def _load_one(path: str, argument: str, sample: Sample | None) -> Ensemble:
  """Loads a run folder or a SavedModel."""
  if is_saved_model(path):
    served = saved_models.ServedModel(path, sample() if sample else None)
    return Ensemble(
      served, served.image_shape, served.num_classes, served.ensemble_size
    )
  run = open_trained(path, argument)
  model = run.config.task.model
  return Ensemble(
    models.cast_weights(run.load_model()),
    tuple(model.image_shape),
    model.num_classes,
    model.ensemble_size,
  )


def load_ensemble(
  paths: Sequence[str],
  argument: str,
  image_shape: Sequence[int] = (),
  num_classes: int = 0,
  sample: Sample | None = None,
) -> Ensemble:
  """Stacks the members of trained models.

  Args:
    paths: Run folders or SavedModels.
    argument: The flag that they come from, for the message of an error.
    image_shape: H, W, C that they must take; those of the first one if empty.
    num_classes: K that they must have; that of the first one if 0.
    sample: Images to try SavedModels on, where their signatures leave something
      open; see `saved_models`.

  Raises:
    InputError: If a folder holds no trained model, if a model differs in its
      images or classes, or if a SavedModel cannot be understood.
  """
  if not paths:
    raise InputError(argument, '', 'at least one folder of a trained model')
  parts = []
  for path in paths:
    part = _load_one(path, argument, sample)
    image_shape = tuple(image_shape) or part.image_shape
    num_classes = num_classes or part.num_classes
    _check_fits(part, path, argument, image_shape, num_classes)
    parts.append(part)
  return Ensemble(
    models.DeepEnsemble([part.model for part in parts]),
    image_shape,
    num_classes,
    sum(part.ensemble_size for part in parts),
  )


def _check_fits(ensemble, path, argument, image_shape, num_classes):
  """Raises an InputError unless images and classes are the same."""
  if ensemble.num_classes != num_classes:
    raise InputError(
      argument,
      path,
      f'a model of {num_classes} classes',
      f'this one has {ensemble.num_classes}',
    )
  if ensemble.image_shape != image_shape:
    raise InputError(
      argument,
      path,
      f'a model of images {list(image_shape)}',
      f'this one takes {list(ensemble.image_shape)}',
    )
