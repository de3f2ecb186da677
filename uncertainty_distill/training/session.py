"""One run: a configuration in, a trained run folder out."""

from __future__ import annotations

import contextlib
import copy
import os
import tempfile
from typing import Any

from uncertainty_distill import configs, data, runs
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runs import checkpoints
from uncertainty_distill.runtime import progress
from uncertainty_distill.training import (
  recovery,
  schedule,
  stored_teacher,
  tensorboard,
)
from uncertainty_distill.training.task import ClassificationTask
from uncertainty_distill.training.trainer import Trainer, WorkerRunner

import orbit
import tensorflow as tf
import tf_keras
from official.modeling import performance


def resolve(config: configs.ExperimentConfig) -> configs.ExperimentConfig:
  """Returns a checked copy whose derived fields are filled in.

  Raises:
    InputError: If the dataset is unknown or a value is out of its range.
  """
  on_cpu = config.runtime.tpu is None and not tf.config.list_physical_devices(
    'GPU'
  )
  # A loop is one call into the device: long for a fast device's sake, short
  # for the eyes of who waits for a slow one.
  return configs.resolve(
    config,
    data.open_configured(config.task.train_data),
    steps_per_loop=10 if on_cpu else 100,
  )


def train(
  config: configs.ExperimentConfig,
  model_dir: str,
  strategy: tf.distribute.Strategy,
  evaluate: bool = True,
  label: str = 'training',
) -> runs.RunFolder:
  """Trains to the end, going on from the newest checkpoint there is.

  Args:
    config: Resolved.
    model_dir: The run folder; a complete one is returned as it is.
    strategy: The devices. Of several workers the chief alone writes there;
      all of them read it.
    evaluate: Whether to evaluate on the clean test set now and then.
    label: What to call it beside the progress bar.

  Raises:
    InputError: If the configuration, the folder, the teacher or its cache is
      wrong.
    DivergedError: If numbers go bad more often than the configuration allows.
    KeyboardInterrupt: After saving a checkpoint, unless there are several
      workers, which save together or not at all.
  """
  run = runs.match_run(model_dir, config)
  # Before the workers meet: after that the chief may write.
  is_complete = run.is_complete and not checkpoints.find_damage(
    run.path, run.step, thorough=False
  )
  steps = workers.gather(strategy, run.step)
  if len(steps) > 1:
    raise InputError(
      'model_dir',
      model_dir,
      'a folder that all workers share',
      f'they find checkpoints of steps {steps} in it',
    )
  if is_complete:
    return run
  # First of all: it is made in float32, and leaves the random draws alone.
  stored_logits = stored_teacher.prepare(config, strategy)
  with locks.lock_folder(model_dir, 'model_dir', workers.is_chief(strategy)):
    recovery.train(
      run,
      config.trainer,
      strategy,
      lambda rate_factor: _attempt(
        config, run, strategy, stored_logits, evaluate, label, rate_factor
      ),
    )
  return run


def _attempt(
  config, run, strategy, stored_logits, evaluate, label, rate_factor
) -> None:
  """Trains from the newest checkpoint to the end, if all goes well."""
  evaluation_due = run.evaluation_due
  # The chief writes it once all have read it.
  workers.wait(strategy)
  trainer = _build_trainer(
    config, strategy, stored_logits, evaluate, rate_factor
  )
  is_chief = workers.is_chief(strategy)
  if is_chief:
    # Not before the teacher has proved to fit: a mistake leaves no folder.
    runs.claim_run(run.path, config)
    checkpoints.repair_state_file(run.path)
    if run.step == 0:
      tensorboard.write_config(run.path)
  # The others look for checkpoints once the chief has set aside damaged ones.
  workers.wait(strategy)
  progress_bar = progress.progress_bar(
    config.trainer.train_steps, label, 'step', run.step, is_chief
  )
  file = os.path.join(run.path, 'train.log') if is_chief else os.devnull
  scratch = tempfile.TemporaryDirectory()
  with progress_bar as bar, files.open_log(file) as log, scratch:
    # Orbit prints its own account of each loop; it goes to the log.
    with contextlib.redirect_stdout(log):
      controller = _controller(
        config, run, strategy, trainer, evaluate, bar, scratch.name
      )
      _run(config, run, strategy, controller, evaluation_due, evaluate)
  # Another worker must not look for what the chief has not written yet.
  workers.wait(strategy)
  # What is loaded from here on computes as it would in another process.
  performance.set_mixed_precision_policy('float32')


def _build_trainer(
  config, strategy, stored_logits, evaluate, rate_factor
) -> Trainer:
  """Builds all that is trained, from the seed alone."""
  tf_keras.backend.clear_session()
  tf_keras.utils.set_random_seed(config.task.seed)
  performance.set_mixed_precision_policy(
    config.runtime.mixed_precision_dtype or 'float32'
  )
  with strategy.scope():
    task = ClassificationTask(config.task, stored_logits)
    model = task.build_model()
    optimizer = recovery.build_optimizer(
      config.trainer.optimizer_config, rate_factor, model.trainable_variables
    )
    return Trainer(config, task, model, optimizer, evaluate)


def _run(config, run, strategy, controller, evaluation_due, evaluate) -> None:
  """Trains to the end; saves a checkpoint when interrupted."""
  try:
    with strategy.scope():
      schedule.train(
        controller,
        config,
        run,
        evaluation_due,
        evaluate,
        workers.is_chief(strategy),
      )
  except KeyboardInterrupt:
    alone = workers.count(strategy) == 1
    if alone and controller.trainer.has_finite_weights():
      controller.save_checkpoint()
    raise


def _controller(
  config, run, strategy, trainer, evaluate, bar, scratch
) -> orbit.Controller:
  """Hands the trainer to Orbit, with what happens beside its steps."""
  is_chief = workers.is_chief(strategy)
  training_folder, evaluation_folder = (
    os.path.join(run.path, name) if is_chief else None
    for name in ('train', config.trainer.validation_summary_subdir)
  )
  evaluation_summaries = tensorboard.EvaluationSummaries(
    evaluation_folder, config.trainer, trainer.global_step
  )

  def show(output: dict[str, Any]):
    bar.set_postfix(
      loss=f'{float(output["training_loss"]):.3f}',
      accuracy=f'{float(output["accuracy"]):.3f}',
      refresh=False,
    )
    bar.update(int(trainer.global_step.numpy()) - bar.n)

  # Its own recovery would come before ours.
  params = copy.deepcopy(config)
  params.trainer.recovery_max_trials = -1
  return WorkerRunner(
    strategy,
    trainer.task,
    'train_and_eval' if evaluate else 'train',
    params,
    run.path,
    save_summary=is_chief,
    trainer=trainer,
    train_actions=[show],
    eval_actions=[
      tensorboard.CalibrationSummaries(trainer, evaluation_summaries)
    ],
    summary_manager=tensorboard.TrainingSummaries(training_folder, trainer),
    eval_summary_manager=evaluation_summaries,
    scratch=scratch,
    checkpoint=run.checkpoint,
    step=run.step,
  ).controller
