"""Run folders, which describe themselves: rebuilding a model takes no flags.

A run folder holds `params.yaml` (the resolved experiment), `data.yaml` (the
fingerprints of the data that the run learns from, and the names of the
classes), checkpoints whose number is their step, TensorBoard's event files in
`train/` and `clean/`, and `train.log`. Until the run is complete, it holds
`evaluation_due`, the step of the next evaluation; then it holds
`training.yaml`, the cross-entropy in the last steps. Other modules write what
follows training (`results.json`, `report.md`, `saved_model/`, event files in
`results/` and `corrupted/`).
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import configs, models
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks
from uncertainty_distill.runs import checkpoints, run_identity

import tensorflow as tf
import tf_keras
import yaml

PARAMS_FILE = 'params.yaml'
# The file that holds the fingerprints of the data and the classes' names.
DATA_FILE = 'data.yaml'
_CLASS_NAMES = 'class names'
_TEACHER_TEMPERATURE = 'teacher temperature'
# The file that holds the members' mean cross-entropy at the end of training.
_TRAINING_FILE = 'training.yaml'
_WRITTEN = 'teacher written'

_logger = logging.getLogger(__name__)


class RunFolder:
  """One trained, or partly trained, model.

  Attributes:
    path: The folder.
    config: The resolved experiment.
  """

  def __init__(self, path: str, config: configs.ExperimentConfig):
    self.path = path
    self.config = config

  @property
  def checkpoint(self) -> str | None:
    """The path prefix of the newest checkpoint, or None."""
    return checkpoints.prefix(self.path, self.step) if self.step else None

  @property
  def step(self) -> int:
    """The global step of the newest checkpoint; 0 without one."""
    return checkpoints.newest_step(self.path)

  @property
  def evaluation_due_file(self) -> str:
    """The file that holds the step of the next evaluation."""
    return os.path.join(self.path, 'evaluation_due')

  @property
  def evaluation_due(self) -> int:
    """The step of the evaluation that is due or was cut short; 0 for none."""
    try:
      return int(files.read_text(self.evaluation_due_file))
    except (OSError, ValueError):
      return 0

  @property
  def training_cross_entropy(self) -> float | None:
    """The members' mean cross-entropy in the last steps of training, in nats.

    The entropy of smoothed labels is subtracted, since no network can get below
    it. None if the value is not known, as in older runs.
    """
    file = os.path.join(self.path, _TRAINING_FILE)
    if not files.is_file(file):
      return None
    value = configs.read_yaml(file, 'model_dir').get('cross_entropy')
    if value is None:
      return None
    task = self.config.task
    return value - _label_entropy(
      task.objective.label_smoothing, task.model.num_classes
    )

  def note_training(self, cross_entropy: float) -> None:
    """Stores the cross-entropy of the last steps as it was computed."""
    text = yaml.safe_dump({'cross_entropy': cross_entropy})
    files.write_text(os.path.join(self.path, _TRAINING_FILE), text)

  @property
  def is_complete(self) -> bool:
    """Whether training and its last evaluation have ended."""
    return (
      self.step >= self.config.trainer.train_steps and not self.evaluation_due
    )

  @property
  def state(self) -> str:
    """How far training has come, and what to do."""
    steps = self.config.trainer.train_steps
    return f'it is at step {self.step} of {steps}; run its command again'

  def load_model(self) -> tf_keras.Model:
    """Rebuilds the model with the weights of the newest checkpoint.

    Raises:
      InputError: If there is no checkpoint, or if the newest one is damaged or
        belongs to another model. Older weights are never used instead.
    """
    if self.checkpoint is None:
      raise InputError(
        'run folder', self.path, 'a folder with a checkpoint', 'train it first'
      )
    model = self.config.task.model.build()
    self.restore(model)
    models.finalize(model)
    return model

  def restore(self, model: tf_keras.Model) -> None:
    """Gives a model the weights of the newest checkpoint, which must exist.

    Raises:
      InputError: If the checkpoint is damaged or belongs to another model.
    """
    try:
      restored = tf.train.Checkpoint(model=model).restore(self.checkpoint)
      # Every weight of the model must be found; the optimizer's are not loaded.
      restored.expect_partial().assert_existing_objects_matched()
    except (AssertionError, *checkpoints.READ_ERRORS) as error:
      damage = checkpoints.find_damage(self.path, self.step)
      if damage:
        raise InputError(
          'run folder',
          self.path,
          'a folder whose newest checkpoint can be read',
          f'{damage}; remove {self.checkpoint}.* and run its command again to '
          'continue from the checkpoint before it',
        ) from error
      raise InputError(
        'run folder',
        self.path,
        f'a folder with a checkpoint of the model that its {PARAMS_FILE} '
        'describes',
      ) from error


def is_run(path: str) -> bool:
  """Returns whether a folder is a run folder."""
  return files.is_file(os.path.join(path, PARAMS_FILE))


def open_run(path: str, name: str) -> RunFolder:
  """Opens an existing run folder.

  Args:
    path: The folder.
    name: The parameter that gave the path, for error messages.

  Raises:
    InputError: If there is no run, or if its description cannot be read.
  """
  if not is_run(path):
    problem = 'does not exist'
    if files.is_folder(path):
      has_files = locks.content(path)
      problem = f'has no {PARAMS_FILE}' if has_files else 'is an empty folder'
    elif files.is_file(path):
      problem = 'is a file'
    shown = f'`{name}`' if name.isidentifier() else name
    raise InputError(
      name,
      path,
      f'a run folder, which has {PARAMS_FILE}',
      message=f'{shown} must be a run folder, but {path!r} {problem}',
    )
  _check_utf8(path, name)
  config = configs.ResolvedConfig()
  file = os.path.join(path, PARAMS_FILE)
  configs.override(config, configs.read_yaml(file, name), file)
  return RunFolder(
    path, run_identity.map_paths(config, lambda p: files.absolute(p, path))
  )


def _check_utf8(path: str, name: str) -> None:
  """Raises an InputError for a path that TensorFlow cannot open."""
  if not files.is_utf8(path):
    raise InputError(name, path, 'a path in UTF-8')


def _label_entropy(smoothing: float, num_classes: int) -> float:
  """Returns the entropy of a label that is smoothed, in nats."""
  other = smoothing / num_classes
  own = 1 - smoothing + other
  return -sum(
    count * p * math.log(p)
    for count, p in ((1, own), (num_classes - 1, other))
    if p
  )


def difference(
  path: str, config: configs.ExperimentConfig
) -> tuple[str, Any, Any] | None:
  """Returns how a folder's run differs from the run of a configuration.

  Args:
    path: A run folder.
    config: The resolved experiment.

  Returns:
    The name of the first value that makes them different runs, the value of the
    folder's run, and the value of the configuration; None if they are the same.
  """
  stored = open_run(path, 'model_dir').config
  objective = stored.task.objective
  if objective.uses_teacher and not objective.teacher:
    # A student's folder is claimed before a search has found its teacher.
    objective.teacher = config.task.objective.teacher
    stored.task.initialize_from = config.task.initialize_from
  return run_identity.difference(stored, config)


def match_run(path: str, config: configs.ExperimentConfig) -> RunFolder:
  """Returns the run that a folder holds, or will hold; writes nothing.

  Args:
    path: The folder, which need not exist.
    config: The resolved experiment.

  Raises:
    InputError: If the folder belongs to another experiment, or has checkpoints
      without a description.
  """
  _check_utf8(path, 'model_dir')
  if is_run(path):
    found = difference(path, config)
    if found:
      name, old, new = found
      raise InputError(
        'model_dir',
        path,
        f'a new folder, or the folder of a run with {name}={new!r}',
        'choose another folder, or remove this one',
        message=f'`model_dir` {path!r} belongs to a run with {name}={old!r}, '
        f'not {new!r}',
      )
  elif checkpoints.steps(path):
    # Training would continue from weights of an unknown network.
    raise InputError(
      'model_dir',
      path,
      f'a new folder, or one with {PARAMS_FILE}',
      'choose another folder, or remove this one',
      message=f'`model_dir` {path!r} has checkpoints, but no {PARAMS_FILE}',
    )
  else:
    _check_is_free(path)
  return RunFolder(path, config)


def _check_is_free(path: str) -> None:
  """Raises an InputError if training would overwrite files of others."""
  names = [
    name
    for name in (checkpoints.STATE_FILE, DATA_FILE, _TRAINING_FILE)
    if files.exists(os.path.join(path, name))
  ]
  if names:
    raise InputError(
      'model_dir',
      path,
      f'a new folder, or one with {PARAMS_FILE}',
      f'{names[0]} in it would be lost',
    )


def claim_run(path: str, config: configs.ExperimentConfig) -> RunFolder:
  """Opens a run folder for training; makes it if it is new.

  Args:
    path: The folder.
    config: The resolved experiment.

  Raises:
    InputError: If `match_run` refuses the folder, or if it cannot be written.
  """
  run = match_run(path, config)
  make_writable(path, 'model_dir')
  # Paths are relative to this folder, so that a tree of runs can be moved or
  # mounted elsewhere.
  movable = run_identity.map_paths(config, lambda p: files.relative(p, path))
  text = yaml.safe_dump(
    run_identity.to_plain(movable.as_dict()), sort_keys=False
  )
  files.write_text(os.path.join(path, PARAMS_FILE), text)
  return run


def check_data(
  run: RunFolder,
  fingerprints: Mapping[str, str],
  class_names: Sequence[str],
  written: Sequence[str] = (),
) -> None:
  """Checks that the data of a run are the same as when it began.

  The data are noted in the run folder as soon as they are known.

  Args:
    run: The run, whose folder exists.
    fingerprints: From the names of the data to their fingerprints.
    class_names: The K names of the classes.
    written: Marks of when the files of the teacher were written; () for
      unknown.

  Raises:
    InputError: If the data have changed since the run began.
  """
  noted = _noted_data(run.path) if run.step else {}
  changed = different_data(run, fingerprints) if run.step else []
  if changed:
    raise InputError(
      'model_dir',
      run.path,
      f'a run that was trained on the same {changed[0]}',
      'choose a new folder, or restore the old data',
      message=f'`model_dir` {run.path!r} was trained on other data: its '
      f'{changed[0]} changed since',
    )
  missing = ', '.join(name for name in fingerprints if name not in noted)
  if run.step and missing:
    _logger.warning(
      f'{run.path} has no fingerprint of its {missing}: the current one is '
      'added'
    )
  if missing or not noted:
    known = {_CLASS_NAMES: list(class_names), **noted, **fingerprints}
    known |= {_WRITTEN: list(written)} if written else {}
    _note_data(run.path, known)


def different_data(
  run: RunFolder, fingerprints: Mapping[str, str]
) -> list[str]:
  """Returns the names of the data that are known to have changed.

  Args:
    run: The run that was trained on the data.
    fingerprints: From the names of the data to their present fingerprints.
  """
  noted = _noted_data(run.path)
  return [
    name
    for name in fingerprints
    if noted.get(name) not in (None, fingerprints[name])
  ]


def noted_teacher(run: RunFolder) -> tuple[str, list[str]]:
  """Returns the fingerprint of the teacher, and when its files were written.

  Args:
    run: The run.

  Returns:
    The values that the run noted when it began; empty if unknown.
  """
  noted = _noted_data(run.path)
  return noted.get('teacher', ''), noted.get(_WRITTEN, [])


def noted_training_data(run: RunFolder) -> str:
  """Returns the fingerprint of a run's training data; '' for unknown."""
  return _noted_data(run.path).get('training data', '')


def noted_class_names(run: RunFolder) -> tuple[str, ...]:
  """Returns the names of the classes when a run began; () for unknown."""
  names = _noted_data(run.path).get(_CLASS_NAMES)
  if not isinstance(names, list) or any(isinstance(n, list) for n in names):
    return ()
  return tuple(map(str, names))


def noted_teacher_temperature(run: RunFolder) -> float | None:
  """Returns the fitted temperature of a run's teacher; None for none."""
  return _noted_data(run.path).get(_TEACHER_TEMPERATURE)


def note_teacher_temperature(run: RunFolder, temperature: float) -> None:
  """Notes the fitted temperature of a run's teacher, with its data."""
  noted = _noted_data(run.path)
  if noted.get(_TEACHER_TEMPERATURE) != temperature:
    _note_data(run.path, {**noted, _TEACHER_TEMPERATURE: temperature})


def _note_data(path: str, known: Mapping[str, Any]) -> None:
  """Writes what a run folder says about its data."""
  text = yaml.safe_dump(dict(known), allow_unicode=True, sort_keys=False)
  files.write_text(os.path.join(path, DATA_FILE), text)


def _noted_data(path: str) -> dict[str, Any]:
  """Returns what a run folder says about its data; {} if it is an older one."""
  file = os.path.join(path, DATA_FILE)
  return configs.read_yaml(file, 'model_dir') if files.is_file(file) else {}


def make_writable(path: str, name: str) -> None:
  """Makes a folder, and checks that files can be written there.

  Args:
    path: The folder.
    name: The parameter that gave the path, for error messages.

  Raises:
    InputError: If files cannot be written there.
  """
  probe = os.path.join(path, '.writable')
  try:
    files.make_folder(path)
    files.write_text(probe, '')
    files.remove(probe)
  except OSError as error:
    raise InputError(
      name, path, 'a folder that can be written', error.strerror or ''
    ) from error
