"""Trains one run, from a resolved configuration to a trained run folder."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import logging
import os
import tempfile
from typing import Any

from uncertainty_distill import configs, models, runs, trained
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runs import checkpoints
from uncertainty_distill.runtime import progress
from uncertainty_distill.training import recovery, tensorboard, underfitting
from uncertainty_distill.training.opened_experiment import Experiment
from uncertainty_distill.training.stored_logits import open_stored_logits
from uncertainty_distill.training.task import ClassificationTask
from uncertainty_distill.training.teacher_temperature import find_temperature
from uncertainty_distill.training.trainer import Trainer, WorkerRunner

import orbit
import tensorflow as tf
import tf_keras
from official.modeling import performance

_logger = logging.getLogger(__name__)


def train(
  experiment: Experiment,
  model_dir: str,
  evaluate: bool = True,
  label: str = 'training',
  lock: bool = True,
) -> runs.RunFolder:
  """Trains to the end, starting from the newest checkpoint if there is one.

  Args:
    experiment: The experiment. If it needs a teacher, the teacher has been
      trained.
    model_dir: The run folder. A complete run is returned as it is. With several
      workers, only the chief writes to the folder, and all of them read it.
    evaluate: Whether to evaluate on the clean test set while training.
    label: The name beside the progress bar.
    lock: Whether to keep other processes from writing to the folder; False if
      the caller has locked it.

  Raises:
    InputError: If the configuration, the folder, the teacher or its cache is
      wrong.
    DivergedError: If training diverges more often than the configuration
      allows.
    KeyboardInterrupt: If training is interrupted. It first saves a checkpoint,
      unless there are several workers, which save together or not at all.
  """
  run = runs.match_run(model_dir, experiment.config)
  if _is_finished(run, experiment):
    return run
  session = TrainingSession(experiment, run, evaluate, label)
  # This comes first: logits are computed in float32 and use no random numbers.
  session.prepare_teacher()
  with locks.lock_folder(model_dir, 'model_dir', lock and session.is_chief):
    recovery.train(run, session.strategy, session.attempt)
  found = underfitting.of_run(run) if session.is_chief else ''
  if found:
    _logger.warning(found)
  return run


def finished_run(
  experiment: Experiment, model_dir: str
) -> runs.RunFolder | None:
  """Returns the run of a folder if nothing is left to train, else None.

  This reads the names of files and small files of the run folder. If the run is
  complete, it also reads data that are the user's own files and images without
  labels, and the weights of a teacher whose files are newer than the run. If
  these weights have changed, it warns.

  Args:
    experiment: The experiment.
    model_dir: The run folder, which need not exist.

  Raises:
    InputError: If the folder belongs to another experiment, or if its data have
      changed.
  """
  run = runs.match_run(model_dir, experiment.config)
  return run if _is_finished(run, experiment) else None


def _is_finished(run: runs.RunFolder, experiment: Experiment) -> bool:
  """Returns whether nothing is left to train; see `finished_run`."""
  if not _is_complete(run, experiment.strategy):
    return False
  _check_data(run, experiment, is_complete=True)
  _warn_of_new_teacher(run, experiment)
  return True


def _is_complete(run: runs.RunFolder, strategy: tf.distribute.Strategy) -> bool:
  """Returns whether a run is complete; all workers must agree on its step."""
  # Read before the workers wait for each other: afterwards the chief may write.
  is_complete = run.is_complete and not checkpoints.find_damage(
    run.path, run.step, thorough=False
  )
  steps = workers.gather(strategy, run.step)
  if len(steps) > 1:
    raise InputError(
      'model_dir',
      run.path,
      'a folder that all workers share',
      f'the workers find checkpoints of different steps in it, {steps}',
    )
  return is_complete


def _check_data(
  run: runs.RunFolder, experiment: Experiment, is_complete: bool = False
) -> None:
  """Raises an InputError if the data have changed since the run began."""
  task = experiment.config.task
  teacher = task.objective.teacher
  marks, written = {}, []
  # If the run is complete, datasets and predictions are checked only if they
  # are the user's files: known datasets take long to read, and a teacher may
  # have been exported again.
  if not is_complete or configs.is_path(task.train_data.name):
    marks['training data'] = experiment.dataset.train.fingerprint
  # The images of `rest` are part of the training data.
  unlabeled = task.train_data.unlabeled
  if experiment.unlabeled and unlabeled != configs.REST:
    marks['images without labels'] = experiment.unlabeled.fingerprint
  # A complete student needs no teacher, which may be gone.
  if task.objective.uses_teacher and (
    not is_complete
    or (trained.is_predictions(teacher[0]) and all(map(files.is_file, teacher)))
  ):
    marks['teacher'] = experiment.teacher.fingerprint
    written = [part.time_mark for part in experiment.teacher.parts]
  if marks and experiment.is_chief:
    names = experiment.dataset.spec.class_names
    runs.check_data(run, marks, names, written)


def _warn_of_new_teacher(run: runs.RunFolder, experiment: Experiment) -> None:
  """Warns if the teacher of a complete student has other weights by now."""
  fingerprint, written = runs.noted_teacher(run)
  if not fingerprint or not experiment.is_chief:
    return
  try:
    teacher = experiment.teacher
    if written == [part.time_mark for part in teacher.parts]:
      return  # There is no need to read all weights.
    has_changed = not teacher.has_fingerprint(fingerprint)
  except (InputError, OSError):
    return  # A complete student needs no teacher.
  if has_changed:
    _logger.warning(
      f'{run.path} was distilled from weights that {", ".join(teacher.paths)} '
      'no longer has, and stays as it is: choose another model_dir to distill '
      'the current weights'
    )


@dataclasses.dataclass
class TrainingSession:
  """The training of one run, in as many attempts as it takes.

  Attributes:
    experiment: The experiment.
    run: The run folder.
    evaluate: Whether to evaluate on the clean test set while training.
    label: The name beside the progress bar.
    stored_logits: The teacher's stored logits; None if none are stored.
    teacher_temperature: The temperature that calibrates the teacher.
  """

  experiment: Experiment
  run: runs.RunFolder
  evaluate: bool
  label: str
  stored_logits: trained.StoredLogits | None = None
  teacher_temperature: float = 1.0

  def __post_init__(self) -> None:
    self.config = self.experiment.config
    self.strategy = self.experiment.strategy
    self.is_chief: bool = self.experiment.is_chief

  def prepare_teacher(self) -> None:
    """Opens the teacher and its stored logits, if any; finds its temperature.

    Raises:
      InputError: If the teacher, its predictions or its cache is wrong.
    """
    objective = self.config.task.objective
    if not objective.uses_teacher:
      return
    self.stored_logits = open_stored_logits(self.experiment)
    noted = runs.noted_teacher_temperature(self.run) if self.run.step else None
    # A run keeps the temperature that it began with, since another fit may
    # differ in the last digit.
    self.teacher_temperature = noted or find_temperature(self.experiment)
    if self.stored_logits and not objective.weight_tie:
      # Frees its network and its predictions, if they are loaded.
      del self.experiment.teacher
      vars(self.experiment).pop('teacher_predictions', None)

  def attempt(self, rate_factor: float) -> None:
    """Trains from the newest checkpoint to the end, if all goes well.

    Args:
      rate_factor: The factor of the learning rate.

    Raises:
      InputError: If the folder or the teacher is wrong.
      DivergedError: If training diverges.
      KeyboardInterrupt: If it is interrupted; see `train`.
    """
    evaluation_due = self.run.evaluation_due
    # The chief changes the noted step only after all workers have read it.
    workers.wait(self.strategy)
    trainer = self._build_trainer(rate_factor)
    if self.is_chief:
      # Only now is the teacher known to fit: a mistake leaves no folder.
      self._claim_folder()
    # The others look for checkpoints after the chief set aside damaged ones.
    workers.wait(self.strategy)
    kind = self.config.task.model.architecture.type
    if self.run.checkpoint and kind == 'custom':
      # The function that builds the network may have changed.
      with self.strategy.scope():
        self.run.restore(trainer.model)
    log_file = os.path.join(self.run.path, 'train.log')
    with (
      progress.progress_bar(
        self.config.trainer.train_steps,
        self.label,
        'step',
        self.run.step,
        self.is_chief,
      ) as bar,
      files.open_log(log_file if self.is_chief else os.devnull) as log,
      tempfile.TemporaryDirectory() as scratch,
      # Orbit prints a report of each loop, which goes to the log.
      contextlib.redirect_stdout(log),
    ):
      controller = self._build_controller(trainer, bar, scratch)
      try:
        with self.strategy.scope():
          self._train_and_evaluate(controller, evaluation_due)
      except KeyboardInterrupt:
        if workers.count(self.strategy) == 1 and trainer.has_finite_weights():
          controller.save_checkpoint()
        raise
    # No worker may look for a file that the chief has not written yet.
    workers.wait(self.strategy)

  def _claim_folder(self) -> None:
    """Prepares the run folder for training, or refuses it."""
    runs.claim_run(self.run.path, self.config)
    _check_data(self.run, self.experiment)
    if self.config.task.objective.teacher_temperature == 'fit':
      runs.note_teacher_temperature(self.run, self.teacher_temperature)
    checkpoints.repair_state_file(self.run.path)
    if self.run.step == 0:
      tensorboard.write_config(self.run.path)

  def _build_trainer(self, rate_factor: float) -> Trainer:
    """Builds the trainer; its initial state depends on the seed alone."""
    config = self.config
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(config.task.seed)
    performance.set_mixed_precision_policy(
      config.runtime.mixed_precision_dtype or 'float32'
    )
    with self.strategy.scope():
      task = ClassificationTask(
        self.experiment, self.stored_logits, self.teacher_temperature
      )
      model = task.build_model()
      optimizer = recovery.build_optimizer(
        config.trainer.optimizer_config, rate_factor, model.trainable_variables
      )
      return Trainer(config, task, model, optimizer, self.evaluate)

  def _build_controller(
    self, trainer: Trainer, bar: progress.Bar, scratch: str
  ) -> orbit.Controller:
    """Builds Orbit's controller of the trainer, with actions and summaries."""
    training_folder, evaluation_folder = (
      os.path.join(self.run.path, name) if self.is_chief else None
      for name in ('train', self.config.trainer.validation_summary_subdir)
    )
    evaluation_summaries = tensorboard.EvaluationSummaries(
      evaluation_folder, self.config.trainer, trainer.global_step
    )
    # Model Garden's own recovery would act before that of `recovery`.
    params = copy.deepcopy(self.config)
    params.trainer.recovery_max_trials = -1
    # It would replace the handler of SIGTERM, and train on after the signal.
    params.trainer.preemption_on_demand_checkpoint = False
    controller = WorkerRunner(
      self.strategy,
      trainer.task,
      'train_and_eval' if self.evaluate else 'train',
      params,
      self.run.path,
      save_summary=self.is_chief,
      trainer=trainer,
      train_actions=[functools.partial(self._note_results, trainer, bar)],
      eval_actions=[
        tensorboard.CalibrationSummaries(trainer, evaluation_summaries)
      ],
      summary_manager=tensorboard.TrainingSummaries(
        training_folder, trainer, functools.partial(_advance, trainer, bar)
      ),
      eval_summary_manager=evaluation_summaries,
      scratch=scratch,
      checkpoint=self.run.checkpoint,
      step=self.run.step,
    ).controller
    if self.run.step:
      # The masks of dropout would be those of the run's first steps again.
      tf.random.set_seed(self.config.task.seed + self.run.step)
    # The controller has restored the newest checkpoint.
    with self.strategy.scope():
      models.finalize(trainer.model)
    return controller

  def _note_results(
    self, trainer: Trainer, bar: progress.Bar, output: dict[str, Any]
  ) -> None:
    """Shows the results of a loop, and stores those of the last loop."""
    bar.set_postfix(
      loss=f'{float(output["training_loss"]):.3f}',
      accuracy=f'{float(output["accuracy"]):.3f}',
      refresh=False,
    )
    step = int(trainer.global_step.numpy())
    is_last = step >= self.config.trainer.train_steps
    objective = self.config.task.objective
    # A mixed image has the label of only one of its two images.
    has_labels = not objective.mixup or objective.has_clean_pass
    if is_last and self.is_chief and has_labels:
      # Noted before the last checkpoint: afterwards nothing is trained again.
      self.run.note_training(float(output['cross_entropy']))

  def _train_and_evaluate(
    self, controller: orbit.Controller, evaluation_due: int
  ) -> None:
    """Trains to the end, with evaluations at multiples of their interval.

    Orbit's own loop would count the steps to the next evaluation from the step
    at which it starts. Orbit may also save a checkpoint before it evaluates,
    and a run may be killed between the two. So the step of the next evaluation
    is noted in the run folder before training gets there. A run that was killed
    then still makes its evaluation, and has the same curves as a run that was
    not killed.

    Args:
      controller: The controller, at the step that training continues from.
      evaluation_due: The noted step of the next evaluation, the same on all
        workers.
    """
    trainer = self.config.trainer
    last, interval = trainer.train_steps, trainer.validation_interval
    if self.evaluate:
      step = int(controller.global_step.numpy())
      if step and step == evaluation_due:
        controller.evaluate(trainer.validation_steps)
      while step < last:
        step = min((step // interval + 1) * interval, last)
        if self.is_chief:
          files.write_text(self.run.evaluation_due_file, str(step))
        controller.train(step, checkpoint_at_completion=False)
        controller.evaluate(trainer.validation_steps)
      controller.save_checkpoint()
    else:
      controller.train(last)
    if self.is_chief:
      files.remove(self.run.evaluation_due_file)


def _advance(trainer: Trainer, bar: progress.Bar) -> None:
  """Moves the bar to the current step; raises `Stopped` after a signal."""
  bar.update(int(trainer.global_step.numpy()) - bar.n)
