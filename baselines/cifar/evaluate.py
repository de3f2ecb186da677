r"""Evaluates run folders or SavedModels on clean and corrupted test images.

Several models form one deep ensemble. By default the test set is that of the
first run folder; without any run folder, --experiment must name it.

  python baselines/cifar/evaluate.py --run=runs/a,runs/b --output_dir=runs/ab
"""

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import configs, evaluation, runs, trained, training
from uncertainty_distill.baselines.cifar import finish
from uncertainty_distill.io import files, locks

from absl import flags

_RUN = flags.DEFINE_list(
  'run', [], 'Run folders or SavedModels; several form one deep ensemble.'
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir',
  None,
  'The folder for the report. By default, the folder of the first run, or '
  'NAME_evaluation beside a SavedModel NAME.',
)
_EXPERIMENT = flags.DEFINE_string(
  'experiment',
  None,
  'The experiment whose test set to use. By default, the experiment of the '
  'first run.',
)
_PARAMS_OVERRIDE = flags.DEFINE_string(
  'params_override',
  '',
  'Overrides of values of the experiment: evaluation.corruptions=[contrast].',
)
_MERGE_MEMBERS = flags.DEFINE_bool(
  'merge_members',
  False,
  "Also score the plain network that results from averaging the members' alpha "
  "and gamma in the run's BatchEnsemble.",
)
launch.define_check_flag()
launch.define_device_flags()
flags.adopt_module_key_flags(launch)


def main():
  paths = launch.required('run', 'run folders or SavedModels')
  label = 'deep_ensemble' if len(paths) > 1 else 'model'
  system = evaluation.System(label, None, tuple(paths))
  systems = [system]
  if _MERGE_MEMBERS.value:
    systems.append(evaluation.System('merged', None, tuple(paths), merged=True))
    trained.merge_members(system.model)  # Reports a mistake early.
  config = _test_set(system)
  config.forget_what_was_set()
  configs.override_by_text(config, _PARAMS_OVERRIDE.value)
  launch.set_by_flags(
    config,
    data_dir='task.train_data.data_dir',
    tpu='runtime.tpu',
    check_labels='check_labels',
  )
  strategy = launch.strategy_for(config, training=False)
  directory = _OUTPUT_DIR.value or _default_folder(paths[0])
  experiment = training.open_experiment(config, strategy)
  configs.warn_of_unused_by_evaluation(config)
  with locks.lock_folder(directory, 'output_dir', experiment.is_chief):
    finish.evaluate(systems, experiment, directory, 'Evaluation')
  if experiment.is_chief:
    finish.print_report_path(directory)


def _default_folder(path):
  """Returns the folder for a report on a model if none is given."""
  # A SavedModel with files of others in its folder could not be replaced.
  return path if runs.is_run(path) else f'{files.absolute(path)}_evaluation'


def _test_set(system):
  """Returns the configuration that names the test set."""
  default = evaluation.default_experiment(system.model)
  if default and not _EXPERIMENT.value:
    return default
  return configs.load_config(
    launch.required('experiment', 'the experiment whose test set to use')
  )


if __name__ == '__main__':
  launch.run(main)
