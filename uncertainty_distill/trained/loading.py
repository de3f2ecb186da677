"""Trained models by their paths, for those who do not pass objects yet."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from uncertainty_distill import models
from uncertainty_distill.io import files
from uncertainty_distill.trained import saved_models, stored_predictions
from uncertainty_distill.trained.trained_model import (
  Sample,
  StoredPredictions,
  open_trained,
)

import numpy as np


@dataclasses.dataclass(frozen=True)
class Ensemble:
  """A trained ensemble and what it takes and gives.

  Attributes:
    model: Takes images [B, H, W, C] and returns logits [M, B, K].
    image_shape: H, W, C.
    num_classes: K.
    ensemble_size: M.
  """

  model: models.DeepEnsemble
  image_shape: tuple[int, ...]
  num_classes: int
  ensemble_size: int


def is_saved_model(path: str) -> bool:
  """Returns whether a folder is a SavedModel."""
  return files.is_file(os.path.join(path, saved_models.GRAPH_FILE))


def are_predictions(paths: Sequence[str], name: str) -> bool:
  """Returns whether trained models are stored predictions."""
  if not any(map(stored_predictions.is_predictions, paths)):
    return False
  return isinstance(open_trained(paths, name), StoredPredictions)


def load_ensemble(
  paths: Sequence[str],
  name: str,
  image_shape: Sequence[int] = (),
  num_classes: int = 0,
  sample: Sample | None = None,
) -> Ensemble:
  """Loads trained models side by side; see `open_trained`."""
  model = open_trained(paths, name)
  if image_shape:
    model.check_fits(image_shape, num_classes, sample)
  return Ensemble(
    model.ensemble(), model.image_shape, model.num_classes, model.ensemble_size
  )


def load_predictions(
  paths: Sequence[str],
  name: str,
  split: str,
  labels: np.ndarray,
  num_classes: int,
) -> np.ndarray | None:
  """Reads stored predictions; see `StoredPredictions.predictions`."""
  return StoredPredictions(paths, name).predictions(split, labels, num_classes)
