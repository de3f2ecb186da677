"""Collects the contents of a model card from trained runs and their reports."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from uncertainty_distill import data, evaluation, metrics, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.exporting import (
  abstention,
  model_card,
)
from uncertainty_distill.io import files
from uncertainty_distill.runtime import markup

import tensorflow as tf

_logger = logging.getLogger(__name__)

# Enough images for a table of a few thresholds, and fast even on a CPU.
_TEST_IMAGES = 1000

_OBJECTIVES = {
  'cross_entropy': 'Cross-entropy with the labels; no teacher.',
  'knowledge': 'Knowledge distillation: every member learns the mean of the '
  "teacher's probabilities.",
  'head': 'Head distillation: member i learns the probabilities of the '
  "teacher's member i.",
}


def open_test_images(model: trained.TrainedModel) -> data.ImageSource | None:
  """Returns the test images of the dataset that a model was trained on.

  Returns:
    All test images; None if the dataset is unknown, cannot be opened, or would
    have to be downloaded. None, with a warning, if the dataset now has other
    images or classes.
  """
  if model.config is None:
    return None
  train_data = model.config.task.train_data
  try:
    # Nobody expects an export to download a dataset.
    data.check_prepared(train_data.name, train_data.data_dir)
    dataset = model.dataset
    if dataset is None:
      return None
    spec = dataset.spec
    if (*spec.image_shape, *spec.class_names) != (
      *model.image_shape,
      *model.class_names,
    ):
      _logger.warning(
        f'{train_data.name} no longer has the same images or classes as when '
        f'{model.paths[0]} was trained: its test images are left out'
      )
      return None
    return dataset.test
  except (InputError, OSError):
    return None


def first(test_set: data.ImageSource) -> data.ImageSource:
  """Returns the first test images, which the table of a card is counted on."""
  return test_set.take(min(_TEST_IMAGES, len(test_set)))


def make_card(
  model: trained.TrainedModel,
  calibration: metrics.Calibration | None,
  sets: metrics.PredictionSets | None,
  test_set: data.ImageSource | None,
  outputs: Mapping[str, tf.Tensor] | None,
) -> model_card.ModelCard:
  """Returns the card of an exported model.

  Args:
    model: The model.
    calibration: The temperature; None if no temperature was fitted.
    sets: The rule of the prediction sets; None for no prediction sets.
    test_set: Test images, or None.
    outputs: The model's outputs for these images, at the temperature of
      `calibration`; None if there are no images.
  """
  results = _find_results(model)
  rows, counted_on = [], 'the test images were not on this machine'
  if test_set and outputs:
    rows = abstention.abstentions(
      outputs['predictive_entropy'].numpy(),
      outputs['label'].numpy() == test_set.labels,
    )
    counted_on = f'the first {len(test_set)} clean test images'
  return model_card.ModelCard(
    sections={
      'Model': _describe_model(model),
      **_describe_training(model),
    },
    class_names=model.class_names,
    metrics=evaluation.summary(results) if results else {},
    evaluated_images=_evaluated_images(results),
    calibration=calibration,
    sets=sets,
    has_served_parts=any(
      isinstance(part, trained.SavedModel) for part in model.parts
    ),
    sets_on_test=_count_sets(outputs, test_set.labels)
    if sets and outputs and test_set
    else None,
    abstentions=rows,
    abstention_images=counted_on,
    image_fit=model.image_fit,
  )


def _count_sets(outputs, labels) -> tuple[float, float]:
  """Returns the coverage and the mean size of prediction sets."""
  sums = metrics.set_statistics(
    outputs['prediction_set'], labels, tf.ones(len(labels))
  )
  coverage, size = (float(sums[k]) / len(labels) for k in metrics.SETS)
  return coverage, size


def _describe_model(model):
  """Describes the network or, of a deep ensemble, the networks."""
  config, number = model.config, len(model.parts)
  height, width, channels = model.image_shape
  takes = (
    f'It takes images of {height}x{width}x{channels} and has '
    f'{model.ensemble_size} members.'
  )
  if config is None:
    plural = 's' if number > 1 else ''
    return f'Made from {number} SavedModel{plural}. {takes}'
  size = markup.escaped(config.task.model.architecture.get().label)
  kind = 'network'
  if model.ensemble_size > 1:
    is_hydra = config.task.model.ensemble_type == 'hydra'
    kind = 'Hydra' if is_hydra else 'BatchEnsemble'
  if isinstance(model, trained.MergedRun):
    takes += (
      f' It is the mean of the {config.task.model.ensemble_size} members of a '
      'BatchEnsemble.'
    )
  if number > 1:
    which = 'the first' if model.parts[0].config else 'one of them'
    return f'A deep ensemble of {number} models, {which} a {size}. {takes}'
  if kind == 'BatchEnsemble':
    takes += (
      f' An answer takes the arithmetic of {model.ensemble_size} such networks.'
    )
  parameters = evaluation.count_parameters(model.ensemble())
  return f'A {kind} of the size of one {size}: {parameters:,} weights. {takes}'


def _describe_training(model):
  """Returns the sections on data, objective and teacher, if they are known."""
  configs = [part.config for part in model.parts if part.config]
  described = [
    {
      'Data': _describe_data(config.task.train_data),
      'Objective': _describe_objective(config),
      'Teacher': _describe_teacher(config.task.objective),
    }
    for config in configs
  ]
  return {
    heading: text
    if all(other[heading] == text for other in described)
    else f'Of the first model: {text}'
    for heading, text in (*described, {})[0].items()
    if text
  }


def _describe_data(train_data):
  """Describes the training images and their augmentation."""
  name, unlabeled = (
    markup.escaped(path if path.startswith('tfds:') else os.path.basename(path))
    for path in (train_data.name, train_data.unlabeled)
  )
  images = [f'{name}, its training split']
  if train_data.classes:
    images.append(f'classes {list(train_data.classes)}')
  if train_data.num_examples:
    images.append(f'{train_data.num_examples} images')
  if unlabeled:
    images.append(f'and {unlabeled} without labels')
  if train_data.held_out_fraction:
    images.append(f'{100 * train_data.held_out_fraction:g}% of it held out')
  crops = f'random crops with {train_data.crop_padding} pixels of padding'
  if train_data.horizontal_flip:
    crops += ' and mirrored images'
  changes = [crops]
  if train_data.random_crop_area < 1:
    changes.append(
      f'crops of {train_data.random_crop_area:.0%} to 100% of the area'
    )
  if train_data.color_jitter:
    changes.append(f'color jitter of {train_data.color_jitter:g}')
  return '; '.join([', '.join(images), *changes]) + '.'


def _describe_objective(config):
  """Describes the loss and the length of training."""
  task, objective = config.task, config.task.objective
  sentences = [
    _OBJECTIVES[objective.kind],
    f'{config.trainer.train_steps:,} steps of '
    f'{task.train_data.global_batch_size} images, seed {task.seed}.',
  ]
  if objective.uses_teacher:
    sentences.append(
      f'The weight of the teacher is {objective.weight:g}, its temperature '
      f'{objective.temperature:g}.'
    )
    if objective.mixup:
      sentences.append(f'Images are mixed (mixup {objective.mixup:g}).')
    if objective.perturbation != 'none':
      sentences.append(
        f'The teacher changes the images ({objective.perturbation}).'
      )
    if objective.teacher_temperature != 1:
      sentences.append('The teacher is calibrated first.')
  return ' '.join(sentences)


def _describe_teacher(objective):
  """Describes a teacher by the runs of its members, if these still exist."""
  if not objective.uses_teacher:
    return ''
  paths = objective.teacher
  if all(map(trained.is_predictions, paths)):
    return 'Known only from stored predictions of the training images.'
  text, first = f'A deep ensemble of {len(paths)} trained models', 'the first '
  if len(paths) == 1:
    text, first = 'One trained model', ''
  found = [path for path in paths if runs.is_run(path)]
  if not found:
    return f'{text}.'
  model = runs.open_run(found[0], 'teacher').config.task.model
  return f'{text}, {first}a {model.architecture.get().label}.'


def _find_results(model):
  """Returns the results of exactly these weights from a report nearby, if any.

  The report of a run is in the run's folder, and the report of a study is two
  folders up.
  """
  folder = model.paths[0]
  for _ in range(3):
    results = evaluation.find_results(folder, model)
    if results:
      return results
    folder = files.parent(folder)
  return []


def _evaluated_images(results):
  """Returns sentences that say which images were evaluated."""
  if not results:
    return ''
  clean = [r.num_examples for r in results if r.shift.corruption is None]
  corrupted = [r for r in results if r.images]
  text = f'On {clean[0]:,} test images.' if clean else ''
  if corrupted:
    sets = sorted({markup.escaped(r.images) for r in corrupted})
    counts = sorted({r.num_examples for r in corrupted})
    text += (
      f' Corrupted images, {" or ".join(f"{n:,}" for n in counts)} of each '
      f'type and severity: {"; ".join(sets)}; their metrics are means over the '
      'types, then over the severities.'
    )
  return text.strip()
