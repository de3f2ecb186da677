"""Model Garden's trainer, with batches that follow from the global step."""

from __future__ import annotations

from typing import Any

from official.core import base_trainer
import tensorflow as tf


class Trainer(base_trainer.Trainer):
  """Trains from any step on as if it had never stopped."""

  def __init__(self, config, task, model, optimizer, evaluate: bool = True):
    """Builds the trainer; see `base_trainer.Trainer`.

    The training batches are built at the first step instead of here, because
    the step is only known once a checkpoint is restored.
    """
    super().__init__(
        config,
        task,
        model,
        optimizer,
        evaluate=evaluate,
        train_dataset=tf.data.Dataset.range(0),
    )

  def train_loop_begin(self):
    super().train_loop_begin()
    if self._train_iter is None:
      self._train_iter = iter(
          self.distribute_dataset(
              self.task.build_inputs,
              self.config.task.train_data,
              start_step=int(self.global_step.numpy()),
          )
      )

  def train_loop_end(self):
    return _flat(super().train_loop_end())

  def eval_end(self, aggregated_logs=None):
    return _flat(super().eval_end(aggregated_logs))


def _flat(logs: dict[str, Any]) -> dict[str, Any]:
  """Lifts the figures of `statistics` beside the other scalars.

  Orbit would write a nested dictionary to a TensorBoard run of its own.
  """
  figures = logs.pop('statistics', {})
  return {**logs, **figures}
