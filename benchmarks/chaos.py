r"""Kills jobs at random moments, starts them again, and compares the results.

Each job runs once undisturbed. Then SIGKILL ends the same command again and
again, each time after more progress, and the command is started again. Its
results must equal the undisturbed run's bit for bit, and no finished work may
be done twice. A moment is a random amount of progress (files that exist, steps
in the logs) and a random time after it, both drawn from the seed.

  python benchmarks/chaos.py                 # all jobs: about 20 minutes
  python benchmarks/chaos.py --jobs=trainer,make_corrupted --kills=3

Prints Markdown; exits with 1 if something differs.
"""

from __future__ import annotations

import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Sequence

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

import chaos_campaign
import chaos_jobs
from absl import app, flags

_JOBS = flags.DEFINE_list('jobs', list(chaos_jobs.JOBS), 'Which of them.')
_KILLS = flags.DEFINE_integer('kills', 10, 'Of each job.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the moments.')
_FOLDER = flags.DEFINE_string(
  'folder', None, 'A new folder to keep. By default a temporary one.'
)


def _resumed_from(kill: chaos_campaign.Kill) -> str:
  """Returns what a command found when it was started again."""
  found = [
    f'{os.path.basename(run) or "run"} at step {step}'
    for run, step in kill.finished.checkpoints.items()
  ]
  if kill.finished.num_arrays:
    found.append(f'{kill.finished.num_arrays} arrays')
  return ', '.join(found) or 'the beginning'


def main(argv: Sequence[str]) -> None:
  del argv
  # The commands inherit this variable.
  os.environ['TF_DETERMINISTIC_OPS'] = '1'
  rows, failed = [], False
  print('| job | killed after | resumed from |\n|---|---|---|', flush=True)
  with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(_FOLDER.value or temporary).resolve()
    for name in _JOBS.value:
      kills, wrong = chaos_campaign.campaign(
        name, chaos_jobs.JOBS[name], root, _KILLS.value, _SEED.value
      )
      for kill in kills:
        # Lines of the log have bars, which would part a table's columns.
        where = re.sub(r'[ |]+', ' ', kill.where)
        print(f'| {name} | {where} | {_resumed_from(kill)} |', flush=True)
      end = '<br>'.join(wrong) or 'equal, nothing done twice'
      rows.append(f'| {name} | {len(kills)} | {end} |')
      failed |= bool(wrong)
  print('\n| job | kills | end |\n|---|--:|---|', *rows, sep='\n')
  sys.exit(failed)


if __name__ == '__main__':
  app.run(main)
