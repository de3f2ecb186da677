"""Exports trained runs as SavedModels and TensorFlow Lite files."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence

from uncertainty_distill import data, metrics, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import (
  calibration_examples,
  model_card_data,
  predictive_distribution,
  saved_model,
  tflite,
)
from uncertainty_distill.io import files
from uncertainty_distill.trained import fingerprints, saved_models

import numpy as np
import tensorflow as tf
import tf_keras

SAVED_MODEL = 'saved_model'

_BATCH = 128
_NO_TEST_IMAGES = 'Not compared: the test images are not on this machine.'


def check_replaceable(directory: str) -> None:
  """Raises an InputError if a folder holds anything but a SavedModel."""
  if not directory:
    raise InputError('directory', directory, 'a new or empty folder')
  if not files.is_remote(directory):
    # `new/..` does not exist now, but it will once `new` is made.
    directory = os.path.realpath(directory)
    _check_can_be_moved(directory)
  if not files.exists(directory):
    return
  names = files.names(directory) if files.is_folder(directory) else ['it']
  foreign = [n for n in names if n not in fingerprints.SAVED_MODEL_PARTS]
  # In an object store, an interrupted export leaves some of these files. A
  # folder that holds only `assets` is somebody else's.
  is_unfinished = files.is_remote(directory) and names != ['assets']
  is_ours = saved_models.is_saved_model(directory) or is_unfinished
  if foreign or (names and not is_ours):
    raise InputError(
      'directory',
      directory,
      'a new or empty folder, or one with a SavedModel and nothing else',
      f'{(*foreign, *names)[0]} would be lost',
    )


def _check_can_be_moved(directory: str) -> None:
  """Raises an InputError for a local folder that cannot be replaced."""
  if os.path.ismount(directory):
    raise InputError(
      'directory',
      directory,
      'a folder on a disk, because the disk itself cannot be replaced',
    )
  if files.is_within(os.getcwd(), directory):
    raise InputError(
      'directory', directory, 'a folder other than the working directory'
    )


@dataclasses.dataclass(frozen=True)
class ExportOptions:
  """Options of an export.

  Attributes:
    fit_temperature: Whether to fit a temperature and divide the members' logits
      by it.
    calibration_file: An `.npz` of `images` uint8 [N, H, W, 3] and `labels` [N]
      that no model was trained on. The temperature is fitted to these examples,
      and prediction sets are calibrated on them. If empty, the training
      examples that the runs held out are used.
    check_labels: Whether to refuse a model whose predictions contradict labeled
      images; see `trained.LabelCheck`.
    conformal: The share of images whose prediction set may lack the right
      class; 0 to add no prediction sets. With 0, a SavedModel keeps the
      prediction sets that it has unless its probabilities change.
    conformal_method: One of `metrics.SET_METHODS`.
    merge_members: Whether to export one plain network, the mean of a run's
      members; see `models.merge_members`.
  """

  fit_temperature: bool = False
  calibration_file: str = ''
  check_labels: bool = True
  conformal: float = 0.0
  conformal_method: str = 'lac'
  merge_members: bool = False


def export(
  paths: Sequence[str],
  directory: str,
  options: ExportOptions = ExportOptions(),
) -> metrics.Calibration | None:
  """Exports a run, or several runs as a deep ensemble, as a SavedModel.

  Args:
    paths: Run folders or SavedModels.
    directory: The folder to write to. A SavedModel in it is replaced.
    options: The options of the export.

  Returns:
    The fitted temperature; None if no temperature was fitted.

  Raises:
    InputError: If a run cannot be loaded; if the model does not take images
      [H, W, 3]; if an option is out of range; if members cannot be merged; if
      the folder cannot be written or holds anything but a SavedModel; if the
      runs held out no examples or too few; if the calibration file is not as
      described or has test images or training images in it; if the labels of
      the test images contradict a SavedModel; or if the labels of the
      calibration images contradict any model.
  """
  check_replaceable(directory)
  alpha, method = options.conformal, options.conformal_method
  if options.calibration_file and not (options.fit_temperature or alpha):
    raise InputError(
      'calibration_file',
      options.calibration_file,
      'empty without `fit_temperature` or `conformal`, which use it',
    )
  if method != 'lac' and not alpha:
    raise InputError(
      'conformal_method', method, 'left out without `conformal`, which uses it'
    )
  if alpha:
    trained.check_set_options('conformal', alpha, method)
  model = trained.open_trained(paths, 'path')
  if options.merge_members:
    model = trained.merge_members(model)
  network = model.ensemble()
  if model.image_shape[-1] != 3:
    raise InputError(
      'path', list(model.image_shape), 'a model of images [H, W, 3]'
    )
  test_set = model_card_data.open_test_images(model)
  is_foreign = any(isinstance(p, trained.SavedModel) for p in model.parts)
  if test_set and is_foreign:
    trained.LabelCheck(
      test_set, 'test images', options.check_labels
    ).check_model(model)
  calibration, sets = None, model.prediction_sets
  if options.fit_temperature or alpha:
    held_out = _HeldOut(model, test_set, options)
    if options.fit_temperature:
      calibration = held_out.fit_temperature()
    sets = held_out.calibrate_sets(alpha, method, calibration)
  runs.make_writable(files.parent(directory), 'directory')
  _write(model, network, directory, test_set, calibration, sets)
  return calibration


def _write(
  model: trained.TrainedModel,
  network: tf_keras.Model,
  directory: str,
  test_set: data.ImageSource | None,
  calibration: metrics.Calibration | None,
  sets: metrics.PredictionSets | None,
) -> None:
  """Writes an ensemble's network as a SavedModel, with its model card."""
  fitted = calibration.temperature if calibration else 1.0
  outputs = None
  if test_set:
    test_set = model_card_data.first(test_set)
    outputs = predictive_distribution.outputs_from_logits(
      tf.constant(_member_logits(network, test_set)), fitted, sets
    )
  card = model_card_data.make_card(model, calibration, sets, test_set, outputs)
  saved_model.export_saved_model(
    network,
    model.image_shape,
    directory,
    class_names=card.class_names,
    temperature=fitted,
    documents={saved_models.CARD_FILE: card.to_markdown()},
    image_fit=model.image_fit,
    sets=sets,
  )


def compare_merged(paths: Sequence[str]) -> str:
  """Compares a BatchEnsemble with the network that merges its members.

  Args:
    paths: The run folder of the BatchEnsemble, as the only path.

  Returns:
    A Markdown table that shows on test images what is lost by merging; or a
    sentence if the test images are not on this machine.

  Raises:
    InputError: If the run cannot be loaded or its members cannot be merged.
  """
  model = trained.open_trained(paths, 'path')
  merged = trained.merge_members(model)
  test_set = model_card_data.open_test_images(model)
  if not test_set:
    return _NO_TEST_IMAGES
  images = model_card_data.first(test_set)
  return compare(
    {
      name: np.exp(tf.nn.log_softmax(_member_logits(each.ensemble(), images)))
      for name, each in (('BatchEnsemble', model), ('Merged', merged))
    },
    images.labels,
    ('accuracy', 'nll', 'ece'),
  )


def check_tflite_file(file: str) -> None:
  """Raises an InputError unless a TensorFlow Lite file can be written."""
  if file.endswith('/') or files.is_folder(file):
    raise InputError(
      'tflite',
      file,
      'a file to write, such as model.tflite',
      message='`tflite` must be a file to write, such as model.tflite, but '
      f'{file!r} is a folder',
    )
  runs.make_writable(files.parent(file), 'tflite')


class _HeldOut:
  """Examples from a file or held out by runs, and a model's logits for them."""

  def __init__(
    self,
    model: trained.TrainedModel,
    test_set: data.ImageSource | None,
    options: ExportOptions,
  ):
    """Loads the examples that the options ask for."""
    wanted = 'conformal', f'{options.conformal:g}'
    if options.fit_temperature:
      wanted = 'fit_temperature', 'fit'
    file = options.calibration_file
    self._examples, self._source = calibration_examples.load(
      model, file, test_set, wanted
    )
    self._file = file
    trained.LabelCheck(
      self._examples, 'calibration images', options.check_labels
    ).check_model(model)
    self._network = model.ensemble()

  @functools.cached_property
  def _logits(self):
    return _member_logits(self._network, self._examples)

  def _given(self, *wanted: str) -> tuple[str, ...]:
    """Returns the name and value of the option to blame in error messages."""
    return ('calibration_file', self._file) if self._file else wanted

  def fit_temperature(self) -> metrics.Calibration:
    given = self._given('fit_temperature', 'fit')
    trained.check_examples(self._examples, *given)
    return trained.fit_temperature(
      self._logits, self._examples, self._source, *given
    )

  def calibrate_sets(
    self, alpha: float, method: str, calibration: metrics.Calibration | None
  ) -> metrics.PredictionSets | None:
    """Returns the rule of the prediction sets; None if alpha is 0."""
    if not alpha:
      return None
    logits = self._logits / (calibration.temperature if calibration else 1.0)
    given = self._given('conformal', f'{alpha:g}')
    return trained.calibrate_sets(
      logits, self._examples, alpha, method, self._source, *given
    )


def export_tflite(
  paths: Sequence[str],
  directory: str,
  file: str,
  calibration: metrics.Calibration | None,
) -> str:
  """Writes a TensorFlow Lite file, and compares it with the SavedModel.

  Args:
    paths: Run folders or SavedModels.
    directory: The folder of the SavedModel that was exported from the same
      paths. The file gets the prediction sets of this SavedModel.
    file: The TensorFlow Lite file to write; see `check_tflite_file`.
    calibration: The temperature that was fitted for the SavedModel, if any.

  Returns:
    A Markdown table with accuracy, ECE and agreement on test images; or a
    sentence if the test images are not on this machine.

  Raises:
    InputError: If a run cannot be loaded, or the file cannot be written.
  """
  model = trained.open_trained(paths, 'path')
  check_tflite_file(file)
  saved = trained.open_trained([directory], 'directory')
  content = tflite.convert_to_tflite(
    model.ensemble(),
    model.image_shape,
    calibration.temperature if calibration else 1.0,
    saved.prediction_sets,
  )
  files.write_bytes(file, content)
  test_set = model_card_data.open_test_images(model)
  if not test_set:
    return _NO_TEST_IMAGES
  test_set = model_card_data.first(test_set)
  images = test_set.numpy(slice(None))
  lite = tflite.tflite_runner(content)
  parts = [
    lite(images[start : start + _BATCH])['member_probabilities']
    for start in range(0, len(images), _BATCH)
  ]
  return compare(
    {
      'SavedModel': np.exp(_member_logits(saved.ensemble(), images)),
      'TensorFlow Lite': np.swapaxes(np.concatenate(parts), 0, 1),
    },
    test_set.labels,
  )


def compare(
  probs: Mapping[str, np.ndarray],
  labels: np.ndarray,
  names: Sequence[str] = ('accuracy', 'ece'),
) -> str:
  """Compares each model with the first model, example by example.

  Args:
    probs: The member probabilities [E, N, K] by the models' names.
    labels: [N].
    names: The metrics to show.

  Returns:
    A Markdown table with the metrics, the share of images with the same
    prediction, and the largest difference between mean probabilities.
  """
  means = {name: value.mean(0) for name, value in probs.items()}
  first = next(iter(means.values()))
  headings = ' | '.join(metrics.METRICS[name].heading for name in names)
  lines = [
    f'On {len(labels)} test images:\n',
    f'| Model | {headings} | Same predictions | Largest difference |',
    '|---|' + '--:|' * (len(names) + 2),
  ]
  for name, mean in means.items():
    values = metrics.compute_metrics(
      metrics.sufficient_statistics(metrics.finite_log(probs[name]), labels)
    )
    shown = ' | '.join(f'{values[each]:.4f}' for each in names)
    agreement = (mean.argmax(-1) == first.argmax(-1)).mean()
    largest = np.abs(mean - first).max()
    lines.append(f'| {name} | {shown} | {agreement:.1%} | {largest:.1e} |')
  return '\n'.join(lines)


def _member_logits(
  network: tf_keras.Model, images: np.ndarray | data.ImageSource
) -> np.ndarray:
  """Returns logits [E, N, K] for images uint8 [N, H, W, C]."""
  return trained.apply(
    lambda batch: network(batch, training=False), images, axis=1
  )
