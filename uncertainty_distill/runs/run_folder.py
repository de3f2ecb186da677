"""Run folders: each describes itself, so that no flag rebuilds its model.

A run folder holds `params.yaml` (the resolved experiment), checkpoints whose
number is their step, TensorBoard's event files in `train/` and `clean/`,
`train.log`, and until it is complete `evaluation_due`, the step of the next
evaluation. What follows training (`results.json`, `report.md`, `saved_model/`,
event files in `results/` and `corrupted/`) is written there by others.
"""

from __future__ import annotations

import os

from uncertainty_distill import configs, models
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runs import checkpoints, identity

import tensorflow as tf
import tf_keras
import yaml

PARAMS_FILE = 'params.yaml'


class RunFolder:
  """One trained, or partly trained, model.

  Attributes:
    path: Of the folder.
    config: The resolved experiment.
  """

  def __init__(self, path: str, config: configs.ExperimentConfig):
    self.path = path
    self.config = config

  @property
  def checkpoint(self) -> str | None:
    """The path prefix of the newest checkpoint that is whole, or None."""
    return checkpoints.find(self.path).prefix

  @property
  def step(self) -> int:
    """The global step of this checkpoint; 0 without one."""
    return checkpoints.find(self.path).step

  @property
  def evaluation_due_file(self) -> str:
    """Where the step of the next evaluation is noted."""
    return os.path.join(self.path, 'evaluation_due')

  @property
  def evaluation_due(self) -> int:
    """The step of the evaluation that comes next, or was cut short; else 0."""
    try:
      return int(files.read_text(self.evaluation_due_file))
    except (OSError, ValueError):
      return 0

  @property
  def is_complete(self) -> bool:
    """Whether training has come to its end, and its last evaluation, too."""
    return (
      self.step >= self.config.trainer.train_steps and not self.evaluation_due
    )

  @property
  def state(self) -> str:
    """Says how far training is, and what is damaged, if anything is."""
    found = checkpoints.find(self.path)
    steps = self.config.trainer.train_steps
    text = f'it is at step {found.step} of {steps}; run its command again'
    return '; '.join([*map(str, found.damages[:1]), text])

  def load_model(self) -> tf_keras.Model:
    """Rebuilds the model with the weights of the newest checkpoint.

    Raises:
      InputError: If there is no checkpoint, or it is damaged, or of another
        model. Older weights than those asked for are never taken.
    """
    if checkpoints.find(self.path).damages and not self.is_complete:
      raise InputError(
        'run folder',
        self.path,
        'one whose newest checkpoint can be read',
        self.state,
      )
    if self.checkpoint is None:
      raise InputError(
        'run folder', self.path, 'one with a checkpoint', 'train it first'
      )
    model = models.build_model(**self.config.task.model.as_dict())
    try:
      restored = tf.train.Checkpoint(model=model).restore(self.checkpoint)
      # Every weight of the model must be there; the optimizer's are left.
      restored.expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
      raise InputError(
        'run folder',
        self.path,
        f'a checkpoint of the model that its {PARAMS_FILE} describes',
      ) from error
    return model


def is_run(path: str) -> bool:
  """Tells whether a folder is a run folder."""
  return files.is_file(os.path.join(path, PARAMS_FILE))


def open_run(path: str, argument: str) -> RunFolder:
  """Opens an existing run folder.

  Args:
    path: Of the folder.
    argument: The flag that it comes from, for the message of an error.

  Raises:
    InputError: If there is no run, or its description cannot be read.
  """
  if not is_run(path):
    problem = 'a missing folder'
    if files.is_folder(path):
      problem = 'not a run folder' if locks.content(path) else 'an empty folder'
    elif files.is_file(path):
      problem = 'a file'
    raise InputError(
      argument, path, f'a run folder with {PARAMS_FILE}', f'this is {problem}'
    )
  config = configs.ExperimentConfig()
  file = os.path.join(path, PARAMS_FILE)
  configs.override(config, configs.read_yaml(file, argument), file)
  return RunFolder(
    path, identity.with_paths(config, lambda p: files.absolute(p, path))
  )


def match_run(path: str, config: configs.ExperimentConfig) -> RunFolder:
  """Returns the run that a folder holds or is going to; writes nothing.

  Args:
    path: Of the folder, which need not be there.
    config: The resolved experiment.

  Raises:
    InputError: If the folder belongs to another experiment, or holds
      checkpoints that no description goes with.
  """
  if is_run(path):
    there = open_run(path, 'model_dir').config
    its, ours = there.task, config.task
    if its.objective.kind != 'cross_entropy' and not its.objective.teacher:
      # A student is claimed before a search has found its teacher.
      its.objective.teacher = ours.objective.teacher
      its.initialize_from = ours.initialize_from
    difference = identity.difference(there, config)
    if difference:
      name, old, new = difference
      raise InputError(
        'model_dir',
        path,
        f'a new folder: this one belongs to a run with '
        f'{name}={old!r}, not {new!r}',
        'choose another folder, or remove it',
      )
  elif checkpoints.steps(path):
    # Training would go on from weights of who knows what.
    raise InputError(
      'model_dir',
      path,
      f'a new folder: this one has checkpoints but no {PARAMS_FILE}',
      'choose another folder, or remove it',
    )
  return RunFolder(path, config)


def claim_run(path: str, config: configs.ExperimentConfig) -> RunFolder:
  """Opens a run folder for training, making it where it is new.

  Args:
    path: Of the folder.
    config: The resolved experiment.

  Raises:
    InputError: If `match_run` refuses the folder, or it cannot be written.
  """
  run = match_run(path, config)
  make_writable(path, 'model_dir')
  # Relative to this folder: a tree of runs can be moved, or entered elsewhere.
  movable = identity.with_paths(config, lambda p: files.relative(p, path))
  text = yaml.safe_dump(identity.plain(movable.as_dict()), sort_keys=False)
  files.write_text(os.path.join(path, PARAMS_FILE), text)
  return run


def make_writable(path: str, argument: str) -> None:
  """Makes a folder and checks that files can be written there.

  Raises:
    InputError: If not.
  """
  probe = os.path.join(path, '.writable')
  try:
    files.make_folder(path)
    files.write_text(probe, '')
    files.remove(probe)
  except OSError as error:
    raise InputError(
      argument, path, 'a folder that can be written', error.strerror or ''
    ) from error
