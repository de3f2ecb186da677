"""Trained models of any kind, opened once and passed on as objects."""

from __future__ import annotations

import abc
import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import configs, data, metrics, models, runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files
from uncertainty_distill.trained import (
  fingerprints,
  saved_models,
  stored_predictions,
)

import numpy as np
import tensorflow as tf
import tf_keras

# Returns uint8 images [N, H, W, C]; called only when they are needed.
Sample = Callable[[], np.ndarray]


class TrainedModel(abc.ABC):
  """A trained model: what it is, and what it computes.

  Attributes:
    paths: The folders or files that it was opened from.
    name: The parameter that gave the paths, for error messages.
    config: The experiment that trained the model or, of several parts, the
      first part with a known experiment; None if it is unknown.
    image_shape: H, W, C.
    num_classes: K.
    ensemble_size: The number of members M.
    class_names: K names in the order of the labels; the labels as text if the
      names are unknown.
    fingerprint: The SHA-256 of its weights.
  """

  config: configs.ExperimentConfig | None = None
  image_shape: tuple[int, ...]
  num_classes: int
  ensemble_size: int
  class_names: tuple[str, ...]
  fingerprint: str

  def __init__(self, paths: Sequence[str], name: str):
    self.paths: tuple[str, ...] = tuple(paths)
    self.name = name
    self._ensembles: dict[Any, models.DeepEnsemble] = {}

  @functools.cached_property
  def dataset(self) -> data.Dataset | None:
    """The dataset that the model was trained on; None if it is unknown.

    Raises:
      InputError: If the dataset is no longer there.
    """
    if self.config is None:
      return None
    return data.open_configured(self.config.task.train_data)

  @property
  def image_fit(self) -> str:
    """How pictures in files get the right size: `resize`, `crop` or `pad`."""
    return self.config.task.train_data.image_fit if self.config else 'resize'

  @property
  def prediction_sets(self) -> metrics.PredictionSets | None:
    """The rule of a SavedModel's prediction sets; None if it has none."""
    return None

  @property
  def parts(self) -> tuple[TrainedModel, ...]:
    """The models side by side in an ensemble; else the model itself alone."""
    return (self,)

  def ensemble(self) -> models.DeepEnsemble:
    """Returns the model: images [B, H, W, C] -> logits [M, B, K].

    The model is loaded once for each strategy in whose scope this is called,
    and for each policy of mixed precision.

    Raises:
      InputError: If the model cannot be loaded.
    """
    policy = tf_keras.mixed_precision.global_policy().name
    key = tf.distribute.get_strategy(), policy
    if key not in self._ensembles:
      self._ensembles[key] = models.DeepEnsemble(self._load())
    return self._ensembles[key]

  @abc.abstractmethod
  def _load(self) -> list[tf_keras.Model]:
    """Loads the models that `ensemble` puts side by side."""

  def networks(self) -> list[tf_keras.Model]:
    """Loads the networks as they were trained, each with float32 weights.

    Raises:
      InputError: If this is not a run: only the weights of runs can be read.
    """
    raise InputError(
      self.name,
      self.paths[0],
      'a run folder: the weights of SavedModels and of stored predictions '
      'cannot be read',
    )

  @property
  def description(self) -> list[dict[str, Any]]:
    """What identifies the model in a cache of its logits, for JSON."""
    raise InputError(self.name, self.paths[0], 'a model that can be run')

  @property
  def time_mark(self) -> str:
    """Text that changes when the weights' file is rewritten: NAME/FILE@TIME.

    Of several models, each part has a mark of its own.
    """
    path = self.paths[0]
    file = self._marked_file()
    place = f'{os.path.basename(path)}/{os.path.basename(file)}'
    return f'{place}@{files.modified(file)}'

  def _marked_file(self) -> str:
    """Returns the file whose time tells whether the weights have changed."""
    return self.paths[0]

  @property
  def weights_size(self) -> int:
    """The size of the checkpoint or SavedModel in bytes, with the optimizer."""
    if len(self.parts) > 1:
      return sum(part.weights_size for part in self.parts)
    folder, prefix = os.path.split(self._marked_file().removesuffix('index'))
    names = (n for n in files.names(folder or '.') if n.startswith(prefix))
    return sum(files.version(os.path.join(folder, name))[1] for name in names)

  def has_fingerprint(self, mark: str) -> bool:
    """Returns whether a mark is of these weights.

    Args:
      mark: A fingerprint, or what an older version noted in its place.
    """
    # The time comes first, since a fingerprint has to read all weights.
    return mark == self.time_mark or mark == self.fingerprint

  def check_fits(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    sample: Sample | None = None,
  ) -> None:
    """Checks that the model fits images of some shape and number of classes.

    Args:
      image_shape: H, W, C of the images.
      num_classes: K.
      sample: A function that returns images to try a SavedModel on, since its
        signature may leave something open; see `saved_models`.

    Raises:
      InputError: If the model does not fit, or cannot be loaded.
    """
    del sample
    if self.num_classes != num_classes:
      raise InputError(
        self.name,
        self.paths[0],
        f'a model of {num_classes} classes',
        f'this one has {self.num_classes}',
      )
    if tuple(self.image_shape) != tuple(image_shape):
      raise InputError(
        self.name,
        self.paths[0],
        f'a model of images {list(image_shape)}',
        f'this one takes {list(self.image_shape)}',
      )


class Run(TrainedModel):
  """A run folder whose training is complete.

  Attributes:
    run: The run folder.
  """

  def __init__(self, run: runs.RunFolder, name: str):
    super().__init__([run.path], name)
    self.run = run
    self.config: configs.ExperimentConfig | None = run.config
    model = run.config.task.model
    self.image_shape: tuple[int, ...] = tuple(model.image_shape)
    self.num_classes: int = model.num_classes
    self.ensemble_size: int = model.ensemble_size

  @property
  def class_names(self) -> tuple[str, ...]:
    # The file that the model was trained on may no longer exist.
    names = runs.noted_class_names(self.run)
    if not names:
      with contextlib.suppress(InputError):
        names = self._names_in_dataset()
    if len(names) == self.num_classes:
      return names
    return _labels(self.num_classes)

  def _names_in_dataset(self) -> tuple[str, ...]:
    train_data = self.run.config.task.train_data
    if train_data.name.startswith('tfds:'):
      # Whoever only opens a run does not want to download anything.
      data.check_prepared(train_data.name, train_data.data_dir)
    return self.dataset.spec.class_names if self.dataset else ()

  @property
  def fingerprint(self) -> str:
    return fingerprints.weights_digest(self.run.checkpoint)  # pyright: ignore[reportArgumentType]

  @property
  def description(self) -> list[dict[str, Any]]:
    network = self.run.config.task.model.as_dict()
    return [{'network': network, 'weights': self.fingerprint}]

  def has_fingerprint(self, mark: str) -> bool:
    # An older search noted the digest of the checkpoint's index.
    index = files.read_bytes(self._marked_file())
    digest = hashlib.sha256(index).hexdigest()
    return mark == digest or super().has_fingerprint(mark)

  def _marked_file(self):
    return f'{self.run.checkpoint}.index'

  def _load(self):
    return [models.cast_weights(network) for network in self.networks()]

  def networks(self) -> list[tf_keras.Model]:
    return [self.run.load_model()]


class MergedRun(Run):
  """A run's BatchEnsemble as one plain network; see `models.merge_members`."""

  def __init__(self, run: runs.RunFolder, name: str):
    super().__init__(run, name)
    self.ensemble_size = 1

  @property
  def fingerprint(self) -> str:
    return hashlib.sha256(f'merged {super().fingerprint}'.encode()).hexdigest()

  @property
  def time_mark(self) -> str:
    return f'merged {super().time_mark}'

  def has_fingerprint(self, mark: str) -> bool:
    return mark in (self.time_mark, self.fingerprint)

  def networks(self) -> list[tf_keras.Model]:
    merged = [models.merge_members(each) for each in super().networks()]
    return [models.batch_ensemble(network, 1) for network in merged]


class SavedModel(TrainedModel):
  """A SavedModel of any origin; see `saved_models`."""

  def __init__(self, path: str, name: str):
    super().__init__([path], name)
    self._sample: Sample | None = None

  @property
  def weights_size(self) -> int:
    folder = os.path.join(self.paths[0], 'variables')
    names = files.names(folder) if files.is_folder(folder) else ()
    return super().weights_size + sum(
      files.version(os.path.join(folder, name))[1] for name in names
    )

  def check_fits(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    sample: Sample | None = None,
  ) -> None:
    self._sample = sample or self._sample
    super().check_fits(image_shape, num_classes)

  @property
  def image_shape(self) -> tuple[int, ...]:
    return self._served.image_shape

  @property
  def num_classes(self) -> int:
    return self._served.num_classes

  @property
  def ensemble_size(self) -> int:
    return self._served.ensemble_size

  @property
  def takes_floats(self) -> bool:
    """Whether it takes floats, which it may expect at another scale."""
    return self._served.takes_floats

  @property
  def class_names(self) -> tuple[str, ...]:
    file = os.path.join(self.paths[0], saved_models.CLASS_NAMES_FILE)
    if files.is_file(file):
      # Not `splitlines`: a name may contain other separators of lines.
      names = files.read_text(file).removesuffix('\n').split('\n')
      if len(names) == self.num_classes:
        return tuple(names)
    return _labels(self.num_classes)

  @property
  def image_fit(self) -> str:
    file = os.path.join(self.paths[0], saved_models.IMAGE_FIT_FILE)
    if files.is_file(file):
      return files.read_text(file).strip()
    return super().image_fit

  @property
  def prediction_sets(self) -> metrics.PredictionSets | None:
    file = os.path.join(self.paths[0], saved_models.SETS_FILE)
    if not files.is_file(file):
      return None
    return metrics.PredictionSets(**json.loads(files.read_text(file)))

  @property
  def fingerprint(self) -> str:
    return fingerprints.saved_model_digest(self.paths[0])

  @property
  def description(self) -> list[dict[str, Any]]:
    return [{'saved_model': self.fingerprint}]

  def _marked_file(self):
    return os.path.join(self.paths[0], saved_models.GRAPH_FILE)

  @property
  def _served(self) -> saved_models.ServedModel:
    return self.ensemble().models[0]

  def _load(self):
    images = self._sample() if self._sample else None
    return [saved_models.ServedModel(self.paths[0], images, self.name)]


class StoredPredictions(TrainedModel):
  """Predictions of one dataset in `.npz` files; see `stored_predictions`.

  Nothing else is known of the model: there is no network to load, and sizes
  follow from the dataset that the predictions are read with.
  """

  def predictions(
    self, split: str, labels: np.ndarray, num_classes: int
  ) -> np.ndarray | None:
    """Reads the predictions of one split of a dataset.

    Args:
      split: `train`, which every file must have, or `test`.
      labels: The labels of all examples of the split, [N].
      num_classes: K.

    Returns:
      Logits, float32 [M, N, K]; None if a file has none of the test examples.

    Raises:
      InputError: If a file is not as described, or is of another dataset.
    """
    return stored_predictions.read_predictions(
      self.paths, self.name, split, labels, num_classes
    )

  @property
  def ensemble_size(self) -> int:
    return stored_predictions.count_members(self.paths, self.name)

  @property
  def parts(self) -> tuple[TrainedModel, ...]:
    if len(self.paths) == 1:
      return (self,)
    return tuple(StoredPredictions([path], self.name) for path in self.paths)

  @property
  def fingerprint(self) -> str:
    return _joint(
      [stored_predictions.digest(path, self.name) for path in self.paths]
    )

  def _load(self):
    raise InputError(
      self.name, self.paths[0], 'a trained model, not stored predictions'
    )


class Members(TrainedModel):
  """Several models side by side: a deep ensemble."""

  def __init__(self, parts: Sequence[TrainedModel], name: str):
    super().__init__([path for part in parts for path in part.paths], name)
    self._parts = tuple(parts)
    described = [part for part in parts if part.config]
    config = described[0].config if described else None
    self.config: configs.ExperimentConfig | None = config
    self._described = (*described, *parts)[0]

  @property
  def parts(self) -> tuple[TrainedModel, ...]:
    return self._parts

  @property
  def image_shape(self) -> tuple[int, ...]:
    return self.parts[0].image_shape

  @property
  def image_fit(self) -> str:
    return self._described.image_fit

  @property
  def num_classes(self) -> int:
    return self.parts[0].num_classes

  @property
  def ensemble_size(self) -> int:
    return sum(part.ensemble_size for part in self.parts)

  @property
  def class_names(self) -> tuple[str, ...]:
    return self._described.class_names

  @property
  def fingerprint(self) -> str:
    return _joint([part.fingerprint for part in self.parts])

  def has_fingerprint(self, mark: str) -> bool:
    return mark == self.fingerprint

  @property
  def description(self) -> list[dict[str, Any]]:
    return [entry for part in self.parts for entry in part.description]

  def check_fits(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    sample: Sample | None = None,
  ) -> None:
    for part in self.parts:
      part.check_fits(image_shape, num_classes, sample)

  def _load(self):
    self.check_fits(self.image_shape, self.num_classes)
    names = {part.class_names for part in self.parts}
    if len(names - {_labels(self.num_classes)}) > 1:
      raise InputError(
        self.name,
        ', '.join(self.paths),
        'models of the same classes in the same order',
      )
    return [model for part in self.parts for model in part.ensemble().models]

  def networks(self) -> list[tf_keras.Model]:
    return [network for part in self.parts for network in part.networks()]


def _labels(num_classes: int) -> tuple[str, ...]:
  """Returns labels as text, for classes whose names are unknown."""
  return tuple(map(str, range(num_classes)))


def _joint(digests: Sequence[str]) -> str:
  """Joins several fingerprints into one; a single one stays unchanged."""
  if len(digests) == 1:
    return digests[0]
  return hashlib.sha256('\n'.join(digests).encode()).hexdigest()
