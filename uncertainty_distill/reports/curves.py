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
  """Reads the curves that a run has written for TensorBoard while it trained.

  Args:
    run: The run, complete or not.

  Returns:
    The curves of `train` (metrics of the training batches since the previous
    point) and of `clean` (metrics of the test set), each from names, such as
    `nll`, to epochs, to values. A part is empty if its folder does not exist.

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

  A run that was stopped between two checkpoints and resumed has written some
  steps twice, or steps that it did not reach again. Where the steps of a tag go
  back, its values from that step on are dropped, as TensorBoard does.

  Args:
    directory: The folder that holds the event files; its subfolders are not
      read. A last record that was cut short is left out.

  Returns:
    From tags to ascending steps to values; empty if there is no folder.

  Raises:
    OSError: A file cannot be read.
  """
  events = []
  for name in files.names(directory) if files.is_folder(directory) else ():
    if 'tfevents' in name:
      events += _scalar_events(os.path.join(directory, name))
  scalars: dict[str, dict[int, float]] = {}
  # Only the times of events put several files in order. Sorting is stable:
  # events of a file that have the same time keep their order.
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
