r"""Runs a study: a teacher, baselines and students over seeds, and their table.

Complete runs are skipped, so the same command continues where it stopped.

  python baselines/cifar/reproduce.py --study=configs/studies/digits.yaml \
      --only=table_1,figure_2
"""

import os
import pathlib

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import distribution, studies
from uncertainty_distill.baselines.cifar import finish
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError, InputError
from uncertainty_distill.io import files, locks

from absl import flags

# The studies are at the root of a checkout, but inside the package in a wheel.
_STUDIES = pathlib.Path(__file__).resolve().parents[2] / 'configs/studies'

_STUDY = flags.DEFINE_string(
  'study',
  None,
  'The YAML file of the study, or the name of a study that comes with the '
  'package, such as quickstart or digits.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir',
  None,
  'The folder for runs and report. By default, runs/NAME_OF_THE_STUDY.',
)
_ONLY = flags.DEFINE_list(
  'only',
  [],
  'Names of tables, figures, teachers and systems of the study, scaled and '
  'merged ones included: run only what these parts need.',
)
_SEEDS = flags.DEFINE_list(
  'seeds', [], 'The seeds of the study to run. By default, all of them.'
)
_PARALLEL = flags.DEFINE_integer(
  'parallel',
  1,
  'How many runs to train at a time, each in its own process with one GPU or, '
  "without GPUs, with its share of the CPU's cores or runtime.num_threads.",
  lower_bound=1,
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run',
  False,
  'Print what still has to run and what it will cost, measured with a few '
  'steps on these devices. Trains nothing, and writes only an image cache.',
)
launch.define_ray_flags()
launch.define_device_flags()
flags.adopt_module_key_flags(launch)


def main():
  path = _find(
    launch.required('study', 'a YAML file, or a name such as quickstart')
  )
  study = studies.read_study(path, flags.FLAGS.data_dir, flags.FLAGS.tpu)
  name = os.path.splitext(os.path.basename(path))[0]
  directory = _OUTPUT_DIR.value or os.path.join('runs', name)
  part = study.select(_ONLY.value) if _ONLY.value else study
  part = part.select_seeds(launch.integers('seeds')) if _SEEDS.value else part
  pool, show = _pool(study.config, directory)
  strategy = launch.strategy_for(
    launch.without_accelerators(study.config) if pool else study.config
  )
  if _DRY_RUN.value:
    print(
      f'\n{study.title}\n\n{studies.estimate(part, directory, strategy, pool)}'
    )
    return
  with locks.lock_folder(directory, 'output_dir', workers.is_chief(strategy)):
    outcome = studies.run_study(part, directory, strategy, pool, show)
  if workers.is_chief(strategy):
    print('\n\n'.join(['', study.title, *outcome.tables, '']))
    finish.print_output_paths(outcome.directory, outcome.saved_model)
  workers.wait(strategy)
  if outcome.missing:
    raise DivergedError(
      f'the tables lack {"; ".join(outcome.missing)}, because training '
      'diverged (see above)'
    )


def _pool(config, directory):
  """Returns the pool to train in, None for this process, and its display."""
  if flags.FLAGS.ray is None:
    pool = launch.processes(config, _PARALLEL.value)
    return pool, lambda schedule: None
  if _PARALLEL.present:
    raise InputError(
      'parallel',
      _PARALLEL.value,
      'left out with --ray',
      message='--parallel has no effect with --ray: use --ray_resources to '
      'set how many runs a machine trains at a time',
    )
  return launch.ray_pool(directory), distribution.RunTable()


def _find(study):
  """Returns the file of a study, given by its path or a packaged name."""
  packaged = _STUDIES / f'{study}.yaml'
  if packaged.is_file() and not files.is_file(study):
    return str(packaged)
  return study


if __name__ == '__main__':
  launch.run(main)
