r"""Measures how much time it saves to train a study's runs side by side.

The benchmark runs one study with each value of `--parallel`, each time in a new
folder. The order alternates from round to round.

  python benchmarks/parallel.py --study=configs/studies/quickstart.yaml
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from uncertainty_distill import studies

import interleaved_timing
from absl import app, flags

_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)

_STUDY = flags.DEFINE_string(
  'study', 'configs/studies/quickstart.yaml', 'The study to run.'
)
_PARALLEL = flags.DEFINE_list(
  'parallel', ['1', '2'], 'How many runs to train at a time; the first is 1.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 2, 'How often to run each.')


def _seconds(parallel: str) -> float:
  """Returns the seconds of the study from its beginning to its report."""
  command = os.path.join(_ROOT, 'baselines', 'cifar', 'reproduce.py')
  with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    subprocess.run(
      [
        sys.executable,
        command,
        f'--study={_STUDY.value}',
        f'--output_dir={folder}',
        f'--parallel={parallel}',
      ],
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      check=True,
    )
    return time.perf_counter() - start


def main(argv):
  del argv
  study = studies.read_study(_STUDY.value)
  if study.config.task.objective.teacher_cache:
    sys.exit(
      'error: --study must be one without a teacher cache, which every run '
      'after the first would find ready'
    )
  times = {parallel: [] for parallel in _PARALLEL.value}
  for index in range(_ROUNDS.value):
    for parallel in _PARALLEL.value[:: -1 if index % 2 else 1]:
      times[parallel].append(_seconds(parallel))
  first = _PARALLEL.value[0]
  interleaved_timing.print_table(
    ['`--parallel`', 'Seconds', f'Relative to {first}'],
    [
      [
        parallel,
        interleaved_timing.spread(values, 0),
        interleaved_timing.spread(
          interleaved_timing.ratios(times, parallel, first), 2
        ),
      ]
      for parallel, values in times.items()
    ],
  )


if __name__ == '__main__':
  app.run(main)
