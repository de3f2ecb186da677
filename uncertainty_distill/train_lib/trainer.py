"""Model Garden's trainer, with batches that follow from the global step."""

from __future__ import annotations

import time
from typing import Any

from official.core import base_trainer
from official.core import train_lib
import tensorflow as tf
from uncertainty_distill import workers


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

  def distribute_dataset(self, dataset_or_fn, *args, **kwargs):
    """Returns the batches of all replicas; see `base_trainer.Trainer`.

    To one CPU there is nothing to distribute, and TensorFlow would put an
    iterator between that is tuned: one that goes may wait for its tuner, up to
    a minute.
    """
    devices = self.strategy.extended.worker_devices
    if callable(dataset_or_fn) and len(devices) == 1 and 'CPU' in devices[0]:
      if workers.count(self.strategy) == 1:
        return dataset_or_fn(*args, **kwargs)
    return super().distribute_dataset(dataset_or_fn, *args, **kwargs)

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
    self._loop_began = time.monotonic(), int(self.global_step.numpy())

  def train_loop_end(self):
    logs = _flat(super().train_loop_end())
    began, first = self._loop_began
    # Read first: a device that works by itself has then come to the end.
    steps = int(self.global_step.numpy()) - first
    examples = steps * self.config.task.train_data.global_batch_size
    logs['examples_per_second'] = examples / (time.monotonic() - began)
    return logs

  def eval_end(self, aggregated_logs=None):
    return _flat(super().eval_end(aggregated_logs))


class WorkerRunner(train_lib.OrbitExperimentRunner):
  """Model Garden's runner, whose workers go on from one checkpoint together.

  All workers save when the chief does, since variables are read together; but
  what the others save is thrown away. Model Garden has them begin anew, too.
  """

  def __init__(self, *args, scratch: str, checkpoint: str | None, step: int,
               **kwargs):
    """Builds the runner; see `OrbitExperimentRunner`.

    Args:
      *args: As there.
      scratch: Where a worker other than the chief saves.
      checkpoint: The run's newest one, or None.
      step: Of this checkpoint.
      **kwargs: As there.
    """
    self._scratch = scratch
    self._restore_from = checkpoint
    self._restore_step = step
    super().__init__(*args, **kwargs)

  def _maybe_build_checkpoint_manager(self):
    if workers.is_chief(self.strategy):
      return super()._maybe_build_checkpoint_manager()
    return tf.train.CheckpointManager(
        self.trainer.checkpoint,
        directory=self._scratch,
        max_to_keep=1,
        step_counter=self.trainer.global_step,
        checkpoint_interval=self.params.trainer.checkpoint_interval,
        init_fn=self._begin,
        # The chief's manager knows it from the folder. Were they to differ,
        # one worker would save, and wait for the others for good.
        last_checkpoint_step=self._restore_step or None,
    )

  def _begin(self):
    if self._restore_from is None:
      self.trainer.initialize()
    else:
      self.trainer.checkpoint.restore(self._restore_from)


def _flat(logs: dict[str, Any]) -> dict[str, Any]:
  """Lifts the figures of `statistics` beside the other scalars.

  Orbit would write a nested dictionary to a TensorBoard run of its own.
  """
  figures = logs.pop('statistics', {})
  return {**logs, **figures}
