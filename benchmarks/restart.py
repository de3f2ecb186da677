r"""Measures how long a study takes to see that its 234 runs are complete.

The runs are made up. Their files have the names, the number and the sizes of
files of WRN-28-10, but are sparse, so that they take no room on a disk. Imports
do not count.

  python benchmarks/restart.py
"""

import os
import tempfile
import time

from uncertainty_distill import reports, runs, studies
from uncertainty_distill.distribution import local_pools, scheduling
from uncertainty_distill.studies import cost, study_runner

import tensorflow as tf
import yaml
from absl import app

# The bytes of WRN-28-10's weights and of as many momenta, in float32.
_BYTES = 2 * 4 * 36_500_000
_STUDY = {
  'title': 'Many runs',
  'experiment': 'digits_wrn10_1',
  'params_override': {
    'teacher': {'ensemble_size': 4, 'depth': 28, 'width': 10},
    'task': {'model': {'depth': 28, 'width': 10}},
  },
  'seeds': list(range(10)),
  'systems': {
    f'{kind}_{index}': {'task': {'objective': {'kind': kind}}}
    for kind, number in (('cross_entropy', 8), ('knowledge', 8), ('head', 7))
    for index in range(number)
  },
}


class _Maker(local_pools.SerialPool):
  """Writes the files of a complete run in place of training it."""

  made = 0

  def wait(self):
    job, self._job = self._job, None
    run = runs.claim_run(job.path, job.config)
    last = job.num_steps
    steps = [last - i for i in range(job.config.trainer.max_to_keep or 1)]
    for step in sorted(s for s in steps if s > 0):
      prefix = os.path.join(run.path, f'ckpt-{step}')
      tf.train.Checkpoint(step=tf.Variable(step)).write(prefix)
      os.truncate(f'{prefix}.data-00000-of-00001', _BYTES)
    self.made += 1
    return [scheduling.JobResult(job)]


def make(folder: str) -> tuple[studies.Study, str]:
  """Makes the complete runs of a study; returns the study and their folder."""
  path = os.path.join(folder, 'study.yaml')
  with open(path, 'w', encoding='utf-8') as file:
    yaml.safe_dump(_STUDY, file)
  study, output = studies.read_study(path), os.path.join(folder, 'output')
  maker = _Maker(tf.distribute.OneDeviceStrategy('CPU:0'))
  look(study, output, maker)
  assert maker.made == 234, maker.made
  return study, output


def look(study: studies.Study, output: str, pool: scheduling.Pool) -> int:
  """Does what comes before the report of a complete study; counts its tasks."""
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  tasks = study_runner.study_tasks(study, output, strategy, {})
  assert not scheduling.run(tasks, pool)
  return len(tasks)


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as folder:
    study, output = make(folder)
    files = sum(len(names) for _, _, names in os.walk(output))
    strategy = tf.distribute.OneDeviceStrategy('CPU:0')
    start = time.perf_counter()
    look(study, output, local_pools.SerialPool(strategy))
    restart = time.perf_counter() - start
    start = time.perf_counter()
    rows = cost.costs(study, output)
    dry_run = time.perf_counter() - start
    assert sum(row.complete for row in rows) == 234
  print(
    reports.markdown_table(
      ['Runs', 'Files', 'GB', 'Restart, s', '--dry_run, s'],
      [
        [
          '234',
          str(files),
          f'{234 * _BYTES / 1e9:.0f}',
          f'{restart:.1f}',
          f'{dry_run:.1f}',
        ]
      ],
    )
  )


if __name__ == '__main__':
  app.run(main)
