r"""Evaluates run folders or SavedModels on clean and corrupted test images.

Several become one deep ensemble. The test set is that of the first run folder;
for SavedModels alone, --experiment names it.

  python baselines/cifar/evaluate.py --run=runs/a,runs/b --output_dir=runs/ab
"""

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import configs, evaluation, reports, training
from uncertainty_distill.baselines.cifar import finish
from uncertainty_distill.distribution import workers

from absl import flags

_RUN = flags.DEFINE_list(
  'run', [], 'Run folders or SavedModels; several become one deep ensemble.'
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'The folder for the report. By default the first run.'
)
_EXPERIMENT = flags.DEFINE_string(
  'experiment',
  None,
  'The experiment whose test set to use. By default that of the first run.',
)
_PARAMS_OVERRIDE = flags.DEFINE_string(
  'params_override',
  '',
  'Overrides of the experiment: evaluation.corruptions=[contrast].',
)
launch.define_device_flags()
flags.adopt_module_key_flags(launch)


def main():
  paths = launch.required('run', 'run folders or SavedModels')
  config = _test_set(paths)
  configs.override_by_text(config, _PARAMS_OVERRIDE.value)
  config.task.train_data.data_dir = (
    flags.FLAGS.data_dir or config.task.train_data.data_dir
  )
  config.runtime.tpu = flags.FLAGS.tpu
  label = 'deep_ensemble' if len(paths) > 1 else 'model'
  strategy = launch.strategy_for(config)
  directory = _OUTPUT_DIR.value or paths[0]
  system = evaluation.System(label, None, tuple(paths))
  experiment = training.open_experiment(config, strategy)
  with launch.holding(directory, 'output_dir', strategy):
    finish.evaluate([system], experiment, directory, 'Evaluation')
  if workers.is_chief(strategy):
    finish.print_report_path(directory)


def _test_set(paths):
  """Returns the configuration with the test set."""
  described = reports.described_by(paths, 'path')
  if described and not _EXPERIMENT.value:
    return described
  return configs.load_config(
    launch.required('experiment', 'the experiment whose test set to use')
  )


if __name__ == '__main__':
  launch.run(main)
