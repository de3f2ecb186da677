"""Model Garden's trainer, with batches that the global step determines."""

from __future__ import annotations

import time
from typing import Any

from uncertainty_distill import configs, metrics
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.runtime import signals
from uncertainty_distill.training import divergence

import tensorflow as tf
import tf_keras
from official.core import base_task, base_trainer, train_lib


class Trainer(base_trainer.Trainer):
  """Continues training from any step as if it had never stopped.

  Attributes:
    loop_begin: The global step at which the last loop began.
  """

  def __init__(
    self,
    config: configs.ResolvedConfig,
    task: base_task.Task,
    model: tf_keras.Model,
    optimizer: tf_keras.optimizers.Optimizer,
    evaluate: bool = True,
  ):
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
    self.loop_begin = 0
    self._train_loss = metrics.NonFiniteTrackingMean('training_loss')
    self._check_weights = tf.function(self._finite_weights, autograph=False)

  def distribute_dataset(
    self, dataset_or_fn: Any, *args: Any, **kwargs: Any
  ) -> Any:
    """Returns the batches of all replicas; see `base_trainer.Trainer`.

    With one CPU there is nothing to distribute. TensorFlow would still add an
    iterator with automatic tuning, and deleting such an iterator may wait up to
    a minute for its tuner.
    """
    devices = self.strategy.extended.worker_devices
    if callable(dataset_or_fn) and len(devices) == 1 and 'CPU' in devices[0]:
      if workers.count(self.strategy) == 1:
        return dataset_or_fn(*args, **kwargs)
    return super().distribute_dataset(dataset_or_fn, *args, **kwargs)

  def train_loop_begin(self) -> None:
    super().train_loop_begin()
    if self._train_iter is None:
      self._train_iter = iter(  # pyright: ignore[reportCallIssue,reportArgumentType]
        self.distribute_dataset(  # pyright: ignore[reportArgumentType]
          self.task.build_inputs,
          self.config.task.train_data,
          start_step=int(self.global_step.numpy()),
        )
      )
    self.loop_begin: int = int(self.global_step.numpy())
    self._loop_began = time.monotonic()

  def train_loop_end(self) -> dict[str, Any]:
    first_steps = {
      metric.name: metric.first_nonfinite(self.strategy)
      for metric in (*self.train_metrics, self.train_loss)
      if isinstance(metric, metrics.NonFiniteTrackingMean)
    }
    logs = _flat(super().train_loop_end())
    # Read first: this waits for a device that works asynchronously.
    step = int(self.global_step.numpy())
    steps = step - self.loop_begin
    examples = steps * self.config.task.train_data.global_batch_size
    seconds = time.monotonic() - self._loop_began
    logs['examples_per_second'] = examples / seconds
    # A constant rate is a variable, with a copy on every replica.
    logs['learning_rate'] = tf.convert_to_tensor(logs['learning_rate'])
    self._check(logs, first_steps, step)
    return logs

  def eval_reduce(self, state: Any = None, step_outputs: Any = None) -> Any:
    # Called after every batch. A stopped evaluation is run again later.
    signals.check()
    return super().eval_reduce(state, step_outputs)

  def eval_end(self, aggregated_logs: Any = None) -> Any:
    logs = _flat(super().eval_end(aggregated_logs))
    divergence.check_evaluation(logs, int(self.global_step.numpy()))
    return logs

  def _check(self, logs, first_steps, step):
    """Raises a DivergedError before non-finite weights can be saved."""
    config = self.config.trainer
    divergence.check_loop(
      logs, first_steps, self.loop_begin, step, self.strategy
    )
    divergence.check_bound(
      logs, step, config.loss_upper_bound, config.recovery_begin_steps
    )
    # No step has used the weights of the last update yet.
    if not self.has_finite_weights():
      raise DivergedError(
        'the squares of the weights are non-finite (inf or NaN)', step
      )

  def has_finite_weights(self) -> bool:
    """Returns whether the weights are finite, so that they may be saved."""
    return bool(self._check_weights())

  def _finite_weights(self):
    # All replicas and all workers have these weights in common.
    # Training cannot continue from weights whose squares overflow float32.
    weights = self.model.trainable_variables
    parts = self.strategy.run(
      lambda: tf.reduce_all(
        [tf.math.is_finite(tf.nn.l2_loss(weight)) for weight in weights]
      )
    )
    return tf.reduce_all(self.strategy.experimental_local_results(parts))


class WorkerRunner(train_lib.OrbitExperimentRunner):
  """Model Garden's runner, whose workers continue from one checkpoint.

  All workers save when the chief does, since they must read variables together,
  but what the others save is thrown away. So they restore the chief's
  checkpoint; with Model Garden's own runner they would start anew.
  """

  def __init__(
    self,
    *args: Any,
    scratch: str,
    checkpoint: str | None,
    step: int,
    **kwargs: Any,
  ):
    """Builds the runner; see `OrbitExperimentRunner`.

    Args:
      *args: For `OrbitExperimentRunner`.
      scratch: The folder to which a worker other than the chief saves.
      checkpoint: The run's newest checkpoint, or None.
      step: The step of this checkpoint.
      **kwargs: For `OrbitExperimentRunner`.
    """
    self._scratch = scratch
    self._restore_from = checkpoint
    self._restore_step = step
    super().__init__(*args, **kwargs)

  def _maybe_build_checkpoint_manager(self):
    is_chief = workers.is_chief(self.strategy)
    return tf.train.CheckpointManager(
      self.trainer.checkpoint,
      directory=self.model_dir if is_chief else self._scratch,
      max_to_keep=self.params.trainer.max_to_keep if is_chief else 1,
      step_counter=self.trainer.global_step,
      checkpoint_interval=self.params.trainer.checkpoint_interval,
      init_fn=self.trainer.initialize if is_chief else self._begin,
      # The chief's manager reads this step from the folder. If the workers'
      # steps differed, one would save and wait for the others forever.
      last_checkpoint_step=self._restore_step or None,
    )

  def _begin(self):
    if self._restore_from is None:
      self.trainer.initialize()
    else:
      self.trainer.checkpoint.restore(self._restore_from)


def _flat(logs: dict[str, Any]) -> dict[str, Any]:
  """Moves the metrics in `statistics` up to the other scalars.

  Orbit would write a nested dictionary to a TensorBoard run of its own.
  """
  nested = logs.pop('statistics', {})
  return {**logs, **nested}
