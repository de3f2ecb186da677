"""What TensorBoard shows of a run besides its curves."""

from __future__ import annotations

import os
from typing import Any

import orbit
from tensorboard.plugins.hparams import api as hparams
import tensorflow as tf
from uncertainty_distill import configs
from uncertainty_distill import files
from uncertainty_distill import plots
from uncertainty_distill import workers
import yaml


def write_hyperparameters(run_dir: str, config: configs.ExperimentConfig):
  """Writes the configuration as text, and its scalars for HParams."""
  values = yaml.safe_load(
      files.read_text(os.path.join(run_dir, 'params.yaml'))
  )
  task, trainer = values['task'], values['trainer']
  scalars = {
      'objective': task['objective']['kind'],
      'distillation_weight': task['objective']['weight'],
      'temperature': task['objective']['temperature'],
      'weight_tie': task['objective']['weight_tie'],
      'label_smoothing': task['objective']['label_smoothing'],
      **{f'block_l2_{i}': l2 for i, l2 in enumerate(task['block_l2'])},
      'dataset': task['train_data']['name'],
      'batch_size': task['train_data']['global_batch_size'],
      **{k: task['model'][k] for k in ('depth', 'width', 'ensemble_size')},
      **{k: task[k] for k in ('l2', 'seed')},
      **{k: trainer[k] for k in ('epochs', 'base_learning_rate')},
  }
  text = yaml.safe_dump(values, sort_keys=False)
  markdown = ''.join(f'    {line}\n' for line in text.splitlines())
  with tf.summary.create_file_writer(
      os.path.join(run_dir, 'train')
  ).as_default(step=0):
    hparams.hparams(scalars, trial_id=config.experiment or run_dir)
    tf.summary.text('config', markdown)


class ReliabilityImage:
  """An Orbit action that draws the reliability diagram after an evaluation."""

  def __init__(self, trainer, controller_summaries: orbit.utils.SummaryManager):
    self._trainer = trainer
    self._summaries = controller_summaries

  def __call__(self, output: dict[str, Any]):
    del output
    # Read by all workers, or by none.
    statistics = self._trainer.validation_metrics[0].statistics()
    if not workers.is_chief(self._trainer.strategy):
      return
    figure = plots.reliability_diagram({
        'clean test images': tuple(
            statistics[name].numpy()
            for name in ('bin_count', 'bin_confidence', 'bin_correct')
        )
    })
    with self._summaries.summary_writer().as_default():
      tf.summary.image(
          'reliability',
          plots.figure_to_array(figure)[None],
          step=self._trainer.global_step,
      )
