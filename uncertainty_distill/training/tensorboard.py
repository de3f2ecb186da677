"""Writes what TensorBoard shows of a run, and chooses the tags.

TensorBoard shows tags with the same text before the slash in one section.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import configs, metrics, plots
from uncertainty_distill.distribution import workers
from uncertainty_distill.io import files

import numpy as np
import orbit
import tensorflow as tf
from tensorboard.plugins.histogram import metadata as histogram_metadata

# These bound the size of event files, however often a run is evaluated.
_MAX_SCALARS, _MAX_PICTURES = 1000, 100

_SECTIONS = {
  'calibration': ('reliability', 'reliability_severity_5', 'risk_coverage'),
  'confidence': ('all_predictions', 'wrong_predictions'),
  'corruption': (
    'severity',
    'severity_boxes',
    'diversity',
    'heat_map_accuracy',
    'heat_map_ece',
    'heat_map_nll',
  ),
  'loss': (
    'training_loss',
    'cross_entropy',
    'distillation',
    'weight_tie',
    'fast_weight_decay',
    'l2',
  ),
  'optimization': ('learning_rate', 'gradient_norm'),
  'speed': ('examples_per_second', 'steps_per_second'),
}
_SECTION_OF = {
  **{name: spec.section for name, spec in metrics.METRICS.items()},
  **{name: section for section, names in _SECTIONS.items() for name in names},
}

_DESCRIPTIONS = {
  'training_loss': 'The minimized sum of the terms, each times its weight.',
  'cross_entropy': 'Cross-entropy with the labels; the mean over the members, '
  'in nats.',
  'distillation': (
    'T^2 KL(teacher || student), the mean over the members, in nats.'
  ),
  'weight_tie': "Squared distance of the weights from the teacher's weights.",
  'fast_weight_decay': (
    'Squared distance of alpha and gamma from 1; the mean over the members.'
  ),
  'l2': 'Sum of the squares of the regularized weights.',
  'gradient_norm': (
    'L2 norm of the gradient of the loss with respect to all trained weights, '
    'for the batch of all replicas together; the mean over the steps of a '
    'loop.'
  ),
  'learning_rate': 'The learning rate of the next step.',
  'examples_per_second': (
    'Distinct training examples, no matter how many members see each example. '
    'Evaluations and checkpoints are not timed; the first point includes the '
    'compilation.'
  ),
  'steps_per_second': (
    'Training steps; the time includes the evaluations and checkpoints in '
    'between.'
  ),
  'all_predictions': 'The number of images by the confidence of predictions.',
  'wrong_predictions': (
    'The number of wrongly classified images by their confidence.'
  ),
}


def tag(name: str) -> str:
  """Returns the tag of a metric or picture, such as `quality/nll` for `nll`.

  The text after the last slash is the name. A name without a section is its own
  tag.
  """
  return f'{_SECTION_OF[name]}/{name}' if name in _SECTION_OF else name


def write_scalar(
  name: str, value: Any, step: Any = None, description: str | None = None
) -> None:
  """Writes a metric under its tag, with TensorFlow's default writer.

  Args:
    name: The metric's name.
    value: A scalar.
    step: The training step; None for the writer's step.
    description: The text that TensorBoard shows with the metric; None for the
      text that goes with the name.
  """
  description = description or _DESCRIPTIONS.get(name)
  tf.summary.scalar(tag(name), value, step=step, description=description)


def write_confidence(
  bin_count: Sequence[float], bin_correct: Sequence[float]
) -> None:
  """Writes histograms of the confidence of all predictions and of wrong ones.

  Args:
    bin_count: [bins], the number of examples in equal-width bins of [0, 1].
    bin_correct: [bins], how many of them are classified correctly.
  """
  edges = np.linspace(0, 1, len(bin_count) + 1)
  for name, heights in (
    ('all_predictions', bin_count),
    ('wrong_predictions', np.subtract(bin_count, bin_correct)),
  ):
    # Written as by `tf.summary.histogram`, which would need all examples.
    tf.summary.write(
      tag(name),
      np.stack([edges[:-1], edges[1:], heights], axis=1),
      metadata=histogram_metadata.create_summary_metadata(
        None, _DESCRIPTIONS[name]
      ),
    )


def write_config(run_dir: str) -> None:
  """Writes a run's configuration as text."""
  text = files.read_text(os.path.join(run_dir, 'params.yaml'))
  markdown = ''.join(f'    {line}\n' for line in text.splitlines())
  with tf.summary.create_file_writer(os.path.join(run_dir, 'train')).as_default(
    step=0
  ):
    tf.summary.text('config', markdown)


class TrainingSummaries(orbit.utils.SummaryManager):
  """Writes the metrics of training for Orbit, once in each interval.

  Orbit's own manager writes them after every loop, however many there are.
  """

  def __init__(
    self, directory: str | None, trainer: Any, end_loop: Callable[[], None]
  ):
    """Initializes the manager.

    Args:
      directory: The folder of the event files; None to write nothing.
      trainer: The `trainer.Trainer` that measures the metrics.
      end_loop: A function to call when the metrics of a loop are on the disk.
        It may end training: a loop that is not repeated has its point then.
    """
    super().__init__(directory, write_scalar, trainer.global_step)
    self._trainer, self._end_loop = trainer, end_loop

  def write_summaries(self, summary_dict: dict[str, Any]) -> None:
    """Writes the metrics of a loop if it is the last or ends an interval."""
    config = self._trainer.config.trainer
    begin = self._trainer.loop_begin
    step = int(self._trainer.global_step.numpy())
    interval = config.summary_interval
    # Evaluations cut loops short, so a loop may not end where an interval does.
    if step == config.train_steps or begin // interval < step // interval:
      super().write_summaries(summary_dict)

  def flush(self) -> None:
    """Writes what is buffered; Orbit calls this at the end of a loop."""
    super().flush()
    self._end_loop()


class EvaluationSummaries(orbit.utils.SummaryManager):
  """Writes the metrics of evaluations for Orbit, up to a number of times."""

  def __init__(
    self,
    directory: str | None,
    trainer: configs.TrainerConfig,
    step: tf.Variable,
  ):
    """Initializes the manager.

    Args:
      directory: The folder of the event files; None to write nothing.
      trainer: The resolved configuration, which says when to evaluate.
      step: The global step.
    """
    super().__init__(directory, write_scalar, step)
    self._trainer, self._step = trainer, step

  def has_turn(self, most: int) -> bool:
    """Returns whether to show the evaluation at this step.

    Args:
      most: The largest number of evaluations to show of a whole run. The last
        one is shown, and others at equal distances. The choice depends on the
        step alone, so that a run that is stopped and continued shows the same
        evaluations.
    """
    interval = self._trainer.validation_interval
    last = -(-self._trainer.train_steps // interval)
    number = -(-int(self._step.numpy()) // interval)
    return number == last or number % -(-last // most) == 0

  def write_summaries(self, summary_dict: dict[str, Any]) -> None:
    """Writes the metrics of an evaluation that is to be shown."""
    if self.has_turn(_MAX_SCALARS):
      super().write_summaries(summary_dict)


class CalibrationSummaries:
  """An Orbit action that shows the model's calibration after an evaluation."""

  def __init__(
    self,
    trainer: Any,
    evaluation_summaries: EvaluationSummaries,
  ):
    self._trainer = trainer
    self._summaries = evaluation_summaries

  def __call__(self, output: dict[str, Any]) -> None:
    del output
    if not self._summaries.has_turn(_MAX_PICTURES):
      return
    # Either all workers read these, or none does.
    statistics = self._trainer.validation_metrics[0].statistics()
    if not workers.is_chief(self._trainer.strategy):
      return
    count, confidence, correct = (
      statistics[name].numpy() for name in metrics.BINS
    )
    figure = plots.reliability_diagram(
      {'clean test images': (count, confidence, correct)}
    )
    writer = self._summaries.summary_writer()
    with writer.as_default(step=self._trainer.global_step):
      tf.summary.image(tag('reliability'), plots.figure_to_array(figure)[None])
      write_confidence(count, correct)
