r"""Measures how closely one BatchEnsemble can match an ensemble's members.

For each layer, the report gives the ranks of the members' Hadamard quotients
and the relative error of the nearest BatchEnsemble of each rank.

  python baselines/cifar/reconstruct.py \
      --teacher=runs/student/teacher/member_0,runs/student/teacher/member_1 \
      --output_dir=runs/reconstruction --ranks=1,2,4 --aligned
"""

import os

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import reports, trained
from uncertainty_distill.io import locks

from absl import flags

_TEACHER = flags.DEFINE_list(
  'teacher',
  [],
  'Run folders of the members, plain networks of the same architecture.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'The folder for the table and the plot.'
)
_RANKS = flags.DEFINE_list(
  'ranks', ['1'], "The ranks of the members' perturbations."
)
_ALIGNED = flags.DEFINE_bool(
  'aligned',
  False,
  "Also reorder each member's neurons so that the member's weights are as "
  "similar as possible to the first member's weights.",
)


def main():
  directory = launch.required('output_dir', 'a folder for the report')
  paths = launch.required('teacher', 'run folders of at least two members')
  ranks = launch.integers('ranks')
  teacher = trained.open_trained(paths, 'teacher')
  with locks.lock_folder(directory, 'output_dir'):
    table = reports.write_reconstruction(
      teacher, directory, ranks, _ALIGNED.value
    )
  report = os.path.join(directory, 'reconstruction.html')
  print(f'\n{table}\n\nReport: {report}')


if __name__ == '__main__':
  launch.run(main)
