"""Start-up, flags and error handling that the commands share."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import json
import logging as std_logging
import operator
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence

from uncertainty_distill.runtime import signals

from absl import app, flags, logging

_FLAGS = flags.FLAGS
_MODES = ('train_and_eval', 'train', 'eval')
# From a parameter or config value that an error names to the flag that sets it.
# Where there are two flags, a command has only one of them.
_FLAG_OF = {
  'calibration_file': 'calibration',
  'corruption': 'corruptions',
  'directory': 'output_dir',
  'fit_temperature': 'temperature',
  'output_dir': 'output_dir model_dir',
  'path': 'run model',
  'rank': 'ranks',
  'runtime.tpu': 'tpu',
  'task.model.ensemble_size': 'ensemble_size',
  'task.objective.kind': 'objective',
  'task.objective.teacher': 'teacher',
  'task.objective.teacher_cache': 'teacher_cache',
  'task.seed': 'seed',
}


def _tensorflow_log_level() -> str:
  """Returns the log level that --verbosity sets for TensorFlow's own messages.

  absl's levels go from -3 (fatal) to 1 (debug), TensorFlow's from 3 to 0.
  """
  _FLAGS.set_gnu_getopt()  # Flags may follow the names of images.
  with contextlib.suppress(flags.Error):  # `run` reports the error.
    _FLAGS(sys.argv, known_only=True)
  verbosity = _FLAGS['verbosity']
  return str(min(max(-verbosity.value, 0), 3)) if verbosity.present else '3'


# A process that imports this module is a command. Signals end it with one line
# from here on, since importing TensorFlow takes seconds. A fifth of this time
# would go into garbage collection, although imports leave no garbage.
# TensorFlow reads its log level when it is imported.
signals.install()
gc.disable()
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', _tensorflow_log_level())

from uncertainty_distill import configs, distribution
from uncertainty_distill.baselines.cifar import console, error_messages
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks

import tensorflow as tf
import tqdm

gc.freeze()
gc.enable()


class _Stderr(std_logging.Handler):
  """Writes what the package logs to standard error, above progress bars."""

  def emit(self, record):
    tqdm.tqdm.write(self.format(record), sys.stderr)


class _OptionalValueFlag(flags.Flag):
  """A flag with an optional value, such as `--tpu` or `--tpu=NAME`."""

  def __init__(self, name, alone, **kwargs):
    super().__init__(
      flags.ArgumentParser(), flags.ArgumentSerializer(), name, None, **kwargs
    )
    self.boolean = True  # absl then takes the flag without a value, too.
    self._alone = alone

  def parse(self, argument):
    alone = self._alone
    aliases = {True: alone, 'true': alone, False: None, 'false': None}
    self.present += 1
    self.value = aliases.get(argument, argument)


def define_device_flags() -> None:
  """Defines --tpu and --data_dir."""
  flags.DEFINE_flag(
    _OptionalValueFlag(
      'tpu',
      'local',
      help_string='Use a TPU: --tpu (or --tpu=local) for the TPU of '
      'this machine, --tpu=NAME for another. Without this flag, all GPUs are '
      'used, or the CPU if there is no GPU.',
    )
  )
  flags.DEFINE_string(
    'data_dir',
    '',
    'The folder that holds the datasets of TFDS. By default, $TFDS_DATA_DIR or '
    'else ~/tensorflow_datasets.',
  )


def define_ray_flags() -> None:
  """Defines --ray and --ray_resources."""
  flags.DEFINE_flag(
    _OptionalValueFlag(
      'ray',
      'auto',
      help_string='Train on the machines of a Ray cluster: --ray for the '
      'cluster that this machine belongs to, or for this machine alone if it '
      'belongs to none; --ray=ADDRESS for another cluster. All machines must '
      'share the folder of the runs.',
    )
  )
  flags.DEFINE_string(
    'ray_resources',
    '',
    'The resources of a machine of the Ray cluster that each run uses, as '
    'JSON: \'{"TPU": 4}\'. By default, all TPUs of a machine, else one GPU, '
    'else all cores.',
  )


def define_check_flag() -> None:
  """Defines --check_labels."""
  flags.DEFINE_boolean(
    'check_labels',
    None,
    'Whether to refuse a teacher, or a model to be scored, whose predictions '
    'contradict the labels of images because its classes are in another order '
    'or it expects images of another scale. --check_labels=false only warns.',
  )


def define_training_flags() -> None:
  """Defines the flags of the commands that train one experiment."""
  flags.DEFINE_string(
    'experiment',
    None,
    'The registered experiment: ' + ', '.join(configs.experiment_names()) + '.',
  )
  flags.DEFINE_multi_string(
    'config_file', [], 'A YAML file that overrides values of the experiment.'
  )
  flags.DEFINE_string(
    'params_override',
    '',
    'More overrides, as key=value pairs: trainer.epochs=5,task.model.width=2 .',
  )
  flags.DEFINE_string(
    'model_dir',
    None,
    'The run folder: checkpoints, TensorBoard, report, SavedModel. Running the '
    'same command again continues where it stopped.',
  )
  flags.DEFINE_enum(
    'mode',
    _MODES[0],
    _MODES,
    'train: train and export. train_and_eval: also evaluate on clean and '
    'corrupted images. eval: only evaluate.',
  )
  flags.DEFINE_integer(
    'ensemble_size',
    None,
    'Members of the BatchEnsemble; 1 is a single network.',
  )
  flags.DEFINE_integer(
    'seed',
    None,
    'The seed of initial weights, order of examples and augmentation.',
  )
  define_check_flag()
  define_device_flags()


def required(name: str, expected: str) -> str:
  """Returns a flag's value.

  Raises:
    InputError: If the flag was not given, or is empty.
  """
  value = _FLAGS[name].value
  if not value:
    raise InputError(
      name,
      value,
      expected,
      message=f'--{name} is required: set it to {expected}',
    )
  return value


def integers(name: str) -> tuple[int, ...]:
  """Returns the value of a flag that is a list of integers.

  Raises:
    InputError: If the list holds anything but integers.
  """
  values = flags.FLAGS[name].value
  try:
    return tuple(map(int, values))
  except ValueError as error:
    raise InputError(
      name, ','.join(values), 'integers such as 1,2,4'
    ) from error


def experiment_config(**further: str) -> configs.ExperimentConfig:
  """Returns the experiment that the flags describe, unresolved.

  Args:
    **further: More flags of the command, each with the name of the config value
      that it sets.

  Raises:
    InputError: If a flag is wrong.
  """
  names = ', '.join(configs.experiment_names())
  config = configs.load_config(
    required('experiment', f'one of {names}'),
    _FLAGS.config_file,
    _FLAGS.params_override,
  )
  set_by_flags(
    config,
    ensemble_size='task.model.ensemble_size',
    seed='task.seed',
    data_dir='task.train_data.data_dir',
    tpu='runtime.tpu',
    check_labels='check_labels',
    **further,
  )
  return config


def set_by_flags(config: configs.ExperimentConfig, **names: str) -> None:
  """Sets the config values of the flags that were given.

  Args:
    config: The experiment.
    **names: The flags, each with the name of the config value that it sets.

  Raises:
    InputError: If --params_override sets another value.
  """
  overrides = copy.deepcopy(config)
  overrides.forget_what_was_set()
  configs.override_by_text(overrides, _FLAGS.params_override)
  overridden = configs.set_names(overrides)
  for flag, name in names.items():
    value = _FLAGS[flag].value
    if value is None or value in ('', []):
      continue
    value = tuple(value) if isinstance(value, list) else value
    other = operator.attrgetter(name)(overrides)
    if name in overridden and other != value:
      raise InputError(
        flag,
        value,
        f'{other!r}, as set by --params_override',
        f'leave out either --{flag} or {name}',
        message=f'--{flag}={value} and {name}={other} in --params_override '
        'differ',
      )
    parents, _, last = name.rpartition('.')
    holder = operator.attrgetter(parents)(config) if parents else config
    setattr(holder, last, value)


def strategy_for(
  config: configs.ExperimentConfig, training: bool = True
) -> tf.distribute.Strategy:
  """Returns the devices; prints which they are and the batch size of each.

  Raises:
    InputError: If a device is missing, or if the number of devices does not
      divide the batch size.
  """
  cluster = distribution.read_cluster(config.runtime)
  if cluster is not None:
    print(cluster, flush=True)
  strategy = distribution.make_strategy(config.runtime)
  print(distribution.describe(strategy, config, training), flush=True)
  train_data = config.task.train_data
  own = configs.is_path(train_data.name)
  if training and train_data.horizontal_flip and own:
    print(
      'Half of the training images are mirrored; if left and right matter for '
      'your classes, set task.train_data.horizontal_flip=false',
      flush=True,
    )
  return strategy


def ray_pool(folder: str) -> distribution.RayPool | None:
  """Returns the machines that --ray names; None without --ray.

  Args:
    folder: The folder that holds all runs.

  Raises:
    InputError: If a flag is wrong, or the cluster cannot be reached.
  """
  address, text = _FLAGS['ray'].value, _FLAGS['ray_resources'].value
  try:
    resources = json.loads(text or '{}')
    if any(not float(number) >= 0 for number in resources.values()):
      raise ValueError
  except (ValueError, TypeError, AttributeError) as error:
    raise InputError(
      'ray_resources',
      text,
      'a JSON object of numbers that are not negative, such as {"TPU": 4}',
    ) from error
  address = '' if address == 'auto' else address
  pool = distribution.RayPool(folder, address, resources)
  print(pool.description, flush=True)
  return pool


def processes(
  config: configs.ExperimentConfig, number: int
) -> distribution.ProcessPool | None:
  """Returns processes that train `number` runs at a time; None for 1.

  Where there are GPUs, each run needs one. With fewer GPUs than `number`, only
  as many runs as GPUs are trained at a time, and a line says so.

  Raises:
    InputError: If `number` is above 1 with TPUs or several workers, or if a run
      asks for several GPUs.
  """
  is_cluster = distribution.read_cluster(config.runtime) is not None
  if number > 1 and (is_cluster or config.runtime.tpu is not None):
    raise InputError('parallel', number, '1 with TPUs or several workers')
  gpus = len(tf.config.list_physical_devices('GPU'))
  if 0 < gpus < number:
    print(
      f'training {gpus} runs at a time instead of {number}, because each run '
      'needs a GPU of its own',
      flush=True,
    )
    number = gpus
  if number == 1:
    return None
  if config.runtime.num_gpus > 1:
    raise InputError(
      'runtime.num_gpus',
      config.runtime.num_gpus,
      '0 or 1 with --parallel, which gives each run one GPU',
    )
  return distribution.ProcessPool(number, number if gpus else 0)


def without_accelerators(
  config: configs.ExperimentConfig,
) -> configs.ExperimentConfig:
  """Returns the configuration for a process that leaves devices to others.

  Hides the GPUs from TensorFlow, which would otherwise take nearly all of their
  memory.
  """
  tf.config.set_visible_devices([], 'GPU')
  config = copy.deepcopy(config)
  config.runtime.tpu, config.runtime.num_gpus = None, 0
  config.runtime.distribution_strategy = 'one_device'
  return config


def run(main: Callable[..., None], takes_arguments: bool = False) -> None:
  """Runs a command; a user's mistake ends it with one line and exit code 2.

  A disk error does the same. Ctrl-C ends the command with exit code 130, and
  SIGTERM with 143.

  Args:
    main: The main function of the command.
    takes_arguments: Whether `main` takes the arguments that are not flags.
  """
  if isinstance(sys.stdout, io.TextIOWrapper):
    # A table has arrows, and a file may have any name: a terminal that cannot
    # show them must not end the command.
    sys.stdout.reconfigure(errors='backslashreplace')

  def guarded(argv):
    try:
      if takes_arguments:
        main(argv[1:])
      elif len(argv) > 1:
        raise InputError(
          'arguments',
          argv[1:],
          'flags only',
          message=f'{argv[1]!r} is not a flag: write --name=value',
        )
      else:
        main()
      sys.stdout.flush()
    except InputError as error:
      sys.exit(_fail(f'error: {_with_flags(error)}', 2))
    except signals.Stopped as stopped:
      sys.exit(_fail(str(stopped), stopped.code))
    except BrokenPipeError:
      # Whoever read the output, such as `head`, has ended.
      os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
      sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
      found = error_messages.explain(error)
      if not found:
        raise
      sys.exit(_fail(*found))

  signals.install(locks.remove_all)
  logger = std_logging.getLogger('uncertainty_distill')
  logger.addHandler(_Stderr())
  logger.setLevel(std_logging.INFO)
  logger.propagate = False  # absl would write each line once more.
  app.run(guarded, flags_parser=_parse_flags)


def _parse_flags(argv: Sequence[str]) -> Sequence[str]:
  """Returns the arguments that are not flags; a wrong flag ends the process."""
  # absl shows the command's docstring for --help.
  command = sys.modules['__main__']
  command.__doc__ = re.sub(
    r'python baselines/cifar/(\w+)\.py',
    lambda match: console.command_line(match[1], match[0]),
    command.__doc__ or '',
  )
  try:
    _FLAGS.unparse_flags()  # They were parsed for the log level.
    rest = [expand(part) for part in _FLAGS(argv)]
    _check_flags()
  except SystemExit:  # After --help, for which absl exits with 1.
    sys.exit(0)
  except flags.Error as error:
    reason = ' '.join(str(error).split())
    sys.exit(_fail(f'error: {reason}; --help lists the flags', 2))
  # Set here, since absl would not apply another default of the flag.
  if not _FLAGS['verbosity'].present:
    _FLAGS.verbosity = logging.ERROR
    # TensorFlow also raises the errors that it logs.
    tf.get_logger().setLevel('CRITICAL')
  return rest


def expand(value):
  """Returns a flag's value, with `~` at the start of paths expanded."""
  if isinstance(value, list):
    return list(map(expand, value))
  is_path = isinstance(value, str) and value.startswith('~')
  return files.expanded(value) if is_path else value


def _check_flags() -> None:
  """Expands paths and rejects repeated flags.

  The shell does not expand `~` within a flag, and absl would let the last value
  of a repeated flag win.

  Raises:
    flags.Error: If a flag is given twice, or --ray_resources without --ray.
  """
  for name in _FLAGS:
    flag = _FLAGS[name]
    if flag.present > 1 and not isinstance(flag, flags.MultiFlag):
      is_list = isinstance(flag.parser, flags.ListParser)
      remedy = (
        f'write --{name}=A,B'
        if is_list or 'override' in name
        else ('give it only once')
      )
      raise flags.IllegalFlagValueError(
        f'--{name} is given {flag.present} times: {remedy}'
      )
    if flag.present:
      flag.value = expand(flag.value)
  if 'ray' in _FLAGS and _FLAGS.ray is None and _FLAGS.ray_resources:
    raise flags.IllegalFlagValueError('--ray_resources needs --ray')


def _with_flags(error: InputError) -> str:
  """Returns an error's message with the command's flags for the API's names.

  The API's names are the names in backticks, and a config value at the
  beginning of the message.
  """

  def shown(name):
    parameter = name[1] or name[2]
    for flag in _FLAG_OF.get(parameter, parameter).split():
      if flag in _FLAGS:
        return f'--{flag}'
    return name[0]

  return re.sub(r'`([\w.]+)`|^([\w.]+)(?= must )', shown, str(error))


def _fail(message: str, code: int) -> int:
  print(f'\n{message}', file=sys.stderr)
  return code
