"""Public: from a configuration to a trained run and its SavedModel."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from uncertainty_distill import configs, exporting, runs, training
from uncertainty_distill.api import arguments


def experiment(
  name: str, overrides: Mapping[str, Any] | None = None
) -> configs.ExperimentConfig:
  """Returns the configuration of a registered experiment.

  Every field is documented in `uncertainty_distill/configs/experiment.py`, and
  can still be changed in what is returned: `config.task.seed = 1`.

  Args:
    name: Such as `digits_wrn10_1`, `cifar10_wrn10_1` or `cifar10_wrn28_10`.
    overrides: Values by their names, `{'trainer.epochs': 5}`; a group of them
      may be a mapping, as in a YAML file. Later ones win.

  Returns:
    A configuration for `train` and `distill`, a new one at each call.

  Raises:
    InputError: If there is no such experiment or value, or a value is of
      another type.
  """
  config = configs.load_config(name)
  for key, value in (overrides or {}).items():
    for part in reversed(str(key).split('.')):
      value = {part: value}
    configs.override(config, value, 'overrides')
  return config


def train(
  config: configs.ExperimentConfig, model_dir: arguments.Path
) -> runs.RunFolder:
  """Trains what has no teacher, as train.py does.

  With `task.model.ensemble_size` of 1 that is a single network with the
  hyper-parameters of a teacher's member, else a BatchEnsemble with those of a
  student. Stopped, it goes on where it was when it is called again; what is
  complete is returned at once.

  Args:
    config: The experiment; it is not changed.
    model_dir: The run folder, a new one or that of this experiment.

  Returns:
    The run; `load(run.path)` predicts with it.

  Raises:
    InputError: If a value of the configuration is wrong, or the folder belongs
      to another experiment.
  """
  return training.train(
    configs.without_teacher(config),
    os.fspath(model_dir),
    arguments.strategy_for(config),
  )


def distill(
  config: configs.ExperimentConfig,
  model_dir: arguments.Path,
  teacher: arguments.Paths = (),
) -> runs.RunFolder:
  """Trains a student, its teacher first if none is given, as distill.py does.

  Stopped, it goes on where it was when it is called again; what is complete is
  not trained again.

  Args:
    config: The student's experiment; it is not changed. Its
      `task.objective.kind` is `knowledge` (every member learns the teacher's
      mean) or `head` (member i learns the teacher's member i).
    model_dir: The student's run folder, a new one or that of this experiment.
    teacher: Run folders or SavedModels, whose members are stacked, or `.npz`
      files of stored predictions (docs/teachers.md): `train_probs` or
      `train_logits`, floats [M, N, K], `train_labels`, integers [N], and
      perhaps the same of `test`. By default what the experiment names, or else
      a deep ensemble that is trained in the folder `teacher` of the run's.

  Returns:
    The student's run; `load(run.path)` predicts with it, and
    `run.config.task.objective.teacher` are the folders of its teacher.

  Raises:
    InputError: If a value of the configuration or the teacher is wrong, or the
      folder belongs to another experiment.
  """
  config = copy.deepcopy(config)
  objective = config.task.objective
  objective.teacher = tuple(arguments.as_list(teacher)) or objective.teacher
  return training.distill(
    config, os.fspath(model_dir), arguments.strategy_for(config)
  )


def export(
  path: arguments.Paths,
  directory: arguments.Path,
  fit_temperature: bool = False,
  calibration_file: arguments.Path = '',
) -> exporting.Calibration | None:
  """Writes a SavedModel that needs TensorFlow alone, as export.py does.

  Args:
    path: Of a run folder or a SavedModel; several become one deep ensemble.
    directory: Where to write it; a SavedModel that is there is replaced.
    fit_temperature: Whether to divide the members' logits by the temperature of
      the least NLL on examples that no model was trained on.
    calibration_file: These, an `.npz` of `images`, uint8 [N, H, W, 3], and
      `labels`, integers [N]; by default what the runs held out.

  Returns:
    The temperature that was fitted, with the NLL before and after it, or None.

  Raises:
    InputError: If a run cannot be loaded, the folder holds anything else, or
      there are no examples to fit a temperature to.
  """
  return exporting.export(
    arguments.as_list(path),
    os.fspath(directory),
    fit_temperature,
    os.fspath(calibration_file),
  )
