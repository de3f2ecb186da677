r"""Writes a SavedModel that serves predictions with their uncertainty.

  python baselines/cifar/export.py --run=runs/student --output_dir=served/1
"""

from absl import flags
from uncertainty_distill.baselines.cifar import launch
from uncertainty_distill import workflow

_RUN = flags.DEFINE_list(
    'run', [], 'The run folder; several are exported as one deep ensemble.'
)
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'The folder of the SavedModel.'
)


def main():
  directory = launch.required('output_dir', 'a folder for the SavedModel')
  paths = launch.required('run', 'a run folder')
  workflow.export(paths, directory)
  print(f'SavedModel: {directory}')


if __name__ == '__main__':
  launch.run(main)
