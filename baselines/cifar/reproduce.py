r"""Runs a study: a teacher, baselines and students over seeds, and their table.

What is complete is skipped, so the same command goes on where it was stopped.

  python baselines/cifar/reproduce.py --study=configs/studies/quickstart.yaml
"""

import os

from absl import flags
from uncertainty_distill.baselines.cifar import launch
from uncertainty_distill import studies
from uncertainty_distill import workers

_STUDY = flags.DEFINE_string('study', None, 'The YAML file of the study.')
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Where to put runs and report. By default '
    'runs/NAME_OF_THE_STUDY.'
)
launch.define_device_flags()
flags.adopt_module_key_flags(launch)


def main():
  path = launch.required('study', 'a YAML file such as '
                         'configs/studies/quickstart.yaml')
  study = studies.read_study(path, flags.FLAGS.data_dir, flags.FLAGS.tpu)
  name = os.path.splitext(os.path.basename(path))[0]
  directory = _OUTPUT_DIR.value or os.path.join('runs', name)
  strategy = launch.strategy_for(study.config)
  outcome = studies.run_study(study, directory, strategy)
  if workers.is_chief(strategy):
    print(f'\n{study.title}\n\n{outcome.table}\n')
    launch.say_where(outcome.directory, outcome.saved_model)
  workers.wait(strategy)


if __name__ == '__main__':
  launch.run(main)
