"""Public functions that turn a configuration into a run and a SavedModel."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import (
  configs,
  data,
  exporting,
  metrics,
  models,
  runs,
  training,
)
from uncertainty_distill.api import arguments
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy.typing as npt
import tf_keras

_Examples = tuple[npt.ArrayLike, npt.ArrayLike]


def experiment(
  name: str, overrides: Mapping[str, Any] | None = None
) -> configs.ExperimentConfig:
  """Returns the configuration of a registered experiment.

  The modules in `uncertainty_distill/configs/` document every field. Fields can
  also be set afterwards: `config.task.seed = 1`.

  Args:
    name: The registered name, such as `digits_wrn10_1`, `cifar10_wrn10_1` or
      `cifar10_wrn28_10`.
    overrides: From names to values, `{'trainer.epochs': 5}`. A group of values
      may be a mapping, as in a YAML file. Later values win.

  Returns:
    A new configuration for `train` and `distill`.

  Raises:
    InputError: If there is no such experiment or value, or if a value has the
      wrong type.

  Examples:
    >>> config = ud.experiment('digits_wrn10_1', {'trainer.epochs': 5})
    >>> config.task.seed = 1
    >>> config.trainer.epochs, config.task.model.ensemble_size
    (5, 4)
  """
  config = configs.load_config(name)
  for key, value in (overrides or {}).items():
    for part in reversed(str(key).split('.')):
      value = {part: value}
    configs.override(config, value, 'overrides')
  return config


def train(
  config: configs.ExperimentConfig,
  model_dir: arguments.Path,
  model: tf_keras.Model | None = None,
  *,
  examples: _Examples | None = None,
  test_examples: _Examples | None = None,
  class_names: Sequence[str] = (),
) -> runs.RunFolder:
  """Trains a model without a teacher, as train.py does.

  If `task.model.ensemble_size` is 1, the model is a single network with the
  hyperparameters of a teacher's member; otherwise it is a BatchEnsemble with
  those of a student. If training was stopped, the same call continues it; a
  complete run is returned at once.

  Args:
    config: The experiment, which is not changed.
    model_dir: The run folder: a new one, or one of this experiment.
    model: A plain network, images [B, H, W, C] of 0..255 -> logits [B, K], to
      train instead of the configuration's network: a functional or sequential
      model of `tf_keras`. Training starts from its weights, which all members
      share, and the run folder keeps a description of its layers.
    examples: Images and labels to train on, instead of the configuration's
      dataset: images uint8 [N, H, W, 3] of 0 to 255, or gray [N, H, W], and
      labels, integers [N] from 0 to K - 1. Another process can continue the run
      if it gets the same arrays.
    test_examples: Images and labels to test on. By default a fifth of the
      examples is tested on instead of trained on.
    class_names: The K names of the classes of `examples`.

  Returns:
    The run; `load(run.path)` predicts with it.

  Raises:
    InputError: If a value of the configuration is wrong, or if the folder
      belongs to another experiment.

  Examples:
    >>> config = ud.experiment('digits_wrn10_1', {'trainer.epochs': 0.1})
    >>> config.task.model.ensemble_size = 1
    >>> run = ud.train(config, 'runs/single')
    >>> run.is_complete
    True
    >>> digits = ud.load_dataset('digits')
    >>> arrays = digits.images, digits.labels
    >>> ud.train(config, 'runs/arrays', examples=arrays).is_complete
    True
  """
  config = _with_examples(config, examples, test_examples, class_names)
  opened = _open(configs.standalone_config(config), model, 'model')
  if model is not None:  # Some values have no effect on such a network.
    config.task.model.architecture.type = 'keras_model'
  configs.warn_of_unused(config, trains_alone=True)
  return training.train(opened, files.expanded(model_dir))


def distill(
  config: configs.ExperimentConfig,
  model_dir: arguments.Path,
  teacher: arguments.Paths = (),
  student: tf_keras.Model | None = None,
  *,
  examples: _Examples | None = None,
  test_examples: _Examples | None = None,
  class_names: Sequence[str] = (),
) -> runs.RunFolder:
  """Trains a student, and first a teacher if none is given, as distill.py does.

  If training was stopped, the same call continues it; complete runs are not
  trained again.

  Args:
    config: The student's experiment, which is not changed. Its
      `task.objective.kind` is `knowledge` (every member learns the teacher's
      mean) or `head` (member i learns the teacher's member i).
    model_dir: The student's run folder: a new one, or one of this experiment.
    teacher: Run folders or SavedModels, whose members are stacked, or `.npz`
      files of stored predictions (docs/teachers.md): `train_probs` or
      `train_logits`, floats [M, N, K], `train_labels`, integers [N], and
      optionally the same for `test`. By default the teacher that the experiment
      names, or else a deep ensemble that is trained in `model_dir`/teacher. A
      teacher whose classes are in another order, or that needs images at
      another scale than 0 to 255, is refused unless `config.check_labels` is
      false.
    student: The plain network that becomes the student, instead of the
      configuration's network; see the argument `model` of `train`.
    examples: Images and labels to train on; see `train`.
    test_examples: Images and labels to test on; see `train`.
    class_names: The K names of the classes of `examples`.

  Returns:
    The student's run. `load(run.path)` predicts with it, and
    `run.config.task.objective.teacher` has the paths of its teacher.

  Raises:
    InputError: If a value of the configuration or the teacher is wrong, or if
      the folder belongs to another experiment.

  Examples:
    >>> config = ud.experiment('digits_wrn10_1', {'trainer.epochs': 0.1})
    >>> config.task.model.ensemble_size = 2
    >>> run = ud.distill(config, 'runs/student', teacher='runs/single')
    >>> ud.load(run.path)
    <Predictor of images [16, 16, 3]: E=2, K=10>
  """
  config = _with_examples(config, examples, test_examples, class_names)
  objective = config.task.objective
  objective.teacher = tuple(arguments.as_list(teacher)) or objective.teacher
  opened = _open(config, student, 'student')
  return training.distill(opened, files.expanded(model_dir))


def export(
  path: arguments.Paths | tf_keras.Model,
  directory: arguments.Path,
  fit_temperature: bool = False,
  calibration_file: arguments.Path = '',
  check_labels: bool = True,
  *,
  class_names: Sequence[str] = (),
  conformal: float = 0.0,
  conformal_method: str = 'lac',
  merge_members: bool = False,
) -> metrics.Calibration | None:
  """Writes a SavedModel that needs only TensorFlow, as export.py does.

  Args:
    path: A run folder or a SavedModel; several become one deep ensemble. Or a
      model that `batch_ensemble` made, of images [B, H, W, 3] of 0..255 ->
      logits, which cannot be calibrated.
    directory: The folder to write to. A SavedModel there is replaced.
    fit_temperature: Whether to divide the members' logits by the temperature
      with the least NLL on examples that no model was trained on.
    calibration_file: An `.npz` file with examples that no model was trained on,
      for the temperature and the prediction sets: `images`, uint8 [N, H, W, 3],
      and `labels`, integers [N]. By default the training examples that the runs
      held out.
    check_labels: Whether to refuse a model that labeled images contradict; see
      `distill`.
    class_names: The K names of the classes, for a model that `batch_ensemble`
      made; a run and a SavedModel have their own names.
    conformal: The share of images whose prediction set may lack the right
      class, such as 0.1; 0 for no prediction sets.
    conformal_method: How classes are chosen: `lac` (the smallest sets), `aps`
      (sets whose size tells how hard an image is) or `raps` (as `aps`, without
      classes that hardly count); docs/serving.md has the formulas.
    merge_members: Whether to average the members of a run's BatchEnsemble into
      one plain network. This is for members that were trained to stay near each
      other.

  Returns:
    The fitted temperature, with the NLL before and after, or None.

  Raises:
    InputError: If a run cannot be loaded or a model cannot be exported, if an
      argument does not apply to this kind of `path`, if the folder holds
      anything but a SavedModel, if there are no examples to calibrate the model
      on, or if these examples or test images contradict the model.

  Examples:
    >>> ud.export('runs/single', 'served/1')
    >>> ud.load('served/1').class_names[:3]
    ('0', '1', '2')
    >>> held_out = ud.load_dataset('digits', 'train')
    >>> images = np.roll(held_out.images[:50], 1, axis=2)
    >>> np.savez('held_out.npz', images=images, labels=held_out.labels[:50])
    >>> ud.export(
    ...   'runs/single',
    ...   'served/2',
    ...   conformal=0.1,
    ...   calibration_file='held_out.npz',
    ... )
    >>> predictions = ud.load('served/2').predict(images)
    >>> predictions.prediction_set.shape, predictions.set_size.shape
    ((50, 10), (50,))
  """
  class_names = tuple(map(str, class_names))
  if isinstance(path, tf_keras.Model):
    method = '' if conformal_method == 'lac' else conformal_method
    for name, value in (
      ('fit_temperature', fit_temperature),
      ('calibration_file', calibration_file),
      ('conformal', conformal),
      ('conformal_method', method),
      ('merge_members', merge_members),
    ):
      if value:
        expected = 'left out for a model that `batch_ensemble` returned'
        raise InputError(name, value, expected)
    exporting.export_model(path, files.expanded(directory), class_names)
    return None
  if class_names:
    expected = 'left out for a run or a SavedModel, which has class names'
    raise InputError('class_names', list(class_names), expected)
  return exporting.export(
    arguments.as_list(path),
    files.expanded(directory),
    exporting.ExportOptions(
      fit_temperature,
      files.expanded(calibration_file),
      check_labels,
      conformal,
      conformal_method,
      merge_members,
    ),
  )


def _with_examples(config, examples, test_examples, class_names):
  """Returns a copy of an experiment, whose dataset is the arrays if given."""
  config = copy.deepcopy(config)
  if examples is not None:
    config.task.train_data.name = data.keep_arrays(
      examples, test_examples, class_names
    )
  elif test_examples is not None or len(class_names):
    raise InputError(
      'examples',
      None,
      'images and labels if `test_examples` or `class_names` is given',
    )
  return config


def _open(config, model, name):
  """Opens an experiment, with the network that argument `name` gave, if any."""
  if model is not None:
    choice = config.task.model.architecture
    choice.keras_model = models.KerasModel.of(model, name)
    choice.type = 'keras_model'
  opened = training.open_experiment(config, arguments.strategy_for(config))
  if model is not None:
    wanted = opened.config.task.model
    models.check_plain(model, wanted.image_shape, wanted.num_classes, name)
  return dataclasses.replace(opened, initial_model=model)
