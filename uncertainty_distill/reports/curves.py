"""Learning curves, read from the event files that TensorBoard shows."""

from __future__ import annotations

import os
from typing import Any

from uncertainty_distill import configs, data, runs
from uncertainty_distill.io import files

import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader

# From a metric's name to epochs to values.
Curves = dict[str, dict[float, float]]


def read_curves(run: runs.RunFolder) -> dict[str, Curves]:
  """Reads what a run has written for TensorBoard as it trained.

  Args:
    run: Complete or not.

  Returns:
    `train` (metrics of the training batches since the point before) and
    `clean` (of the test set), each from names, such as `nll`, to epochs, to
    values. A folder that is not there has no names.

  Raises:
    InputError: If the run's dataset is no longer there.
  """
  dataset = data.open_configured(run.config.task.train_data)
  steps = configs.batches_per_epoch(run.config, dataset.num_train)
  directories = {
    'train': os.path.join(run.path, 'train'),
    'clean': os.path.join(
      run.path, run.config.trainer.validation_summary_subdir
    ),
  }
  return {
    name: {
      _name(tag): {step / steps: value for step, value in values.items()}
      for tag, values in read_scalars(directory).items()
    }
    for name, directory in directories.items()
  }


def read_scalars(directory: str) -> dict[str, dict[int, float]]:
  """Reads the scalars in the event files of one folder.

  A run that was stopped between two checkpoints has written some steps twice,
  or is at steps that the run it became never came by. Where a tag goes back in
  steps, what it had written from there on is dropped, as TensorBoard does.

  Args:
    directory: The folder of the event files, without its subfolders. A last
      record that was cut short is left out.

  Returns:
    From tags to steps, ascending, to values; empty without a folder.

  Raises:
    OSError: A file cannot be read.
  """
  events = []
  for name in files.names(directory) if files.is_folder(directory) else ():
    if 'tfevents' in name:
      events += _scalar_events(os.path.join(directory, name))
  scalars: dict[str, dict[int, float]] = {}
  # Several files are in no order but that of their times. Sorting is stable:
  # in a file, what was written together stays as it was.
  for _, step, tag, value in sorted(events, key=lambda event: event[0]):
    values = scalars.setdefault(tag, {})
    while values and next(reversed(values)) >= step:
      values.popitem()
    values[step] = value
  return scalars


def _name(tag: str) -> str:
  """Returns the metric's name: the tag without TensorBoard's section."""
  return tag.rpartition('/')[2]


def _scalar_events(path: str) -> list[tuple[float, int, str, float]]:
  """Returns the (time in seconds, step, tag, value) of a file's scalars."""
  loader: Any = event_file_loader.EventFileLoader(path)
  return [
    (
      event.wall_time,
      event.step,
      value.tag,
      float(tf.make_ndarray(value.tensor)),
    )
    # The loader turns what older versions of TensorFlow wrote into tensors.
    for event in loader.Load()
    for value in event.summary.value
    if value.metadata.plugin_data.plugin_name == 'scalars'
  ]
