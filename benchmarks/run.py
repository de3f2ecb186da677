r"""Runs the benchmarks and writes their tables into docs/performance.md.

Each table has its place there between two comments, `<!-- NAME -->` and
`<!-- end of NAME -->`; the text around the comments stays. For times worth
keeping, let nothing else run on the machine.

  python benchmarks/run.py                    # all: about 40 minutes on 2 cores
  python benchmarks/run.py --only=training,input
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from absl import app, flags

_HERE = os.path.dirname(os.path.abspath(__file__))
_PAGE = os.path.join(_HERE, os.pardir, 'docs', 'performance.md')

_COMMANDS = {
  'training': 'steps.py --steps=train',
  'evaluation': 'steps.py --steps=evaluation --networks=10-1x128,16-4x64',
  'rank': 'steps.py --steps=train --networks=10-1x64 --rank=2',
  'distillation': (
    'steps.py --steps=train --networks=10-1x64,16-4x32 '
    '--baseline=batch_ensemble '
    '--systems=cached_teacher,online_teacher,weight_tying'
  ),
  'one_member': (
    'steps.py --steps=train --networks=10-1x64,10-2x64 '
    '--baseline=batch_ensemble --systems=one_member'
  ),
  'perturbation': (
    'steps.py --steps=train --networks=10-1x64,10-2x64 '
    '--baseline=cached_head --systems=cached_ods,online_ods'
  ),
  'latency': 'latency.py',
  'latency_wide': 'latency.py --networks=28-10 --batches=1,8',
  'latency_16px': 'latency.py --networks=10-2 --pixels=16 --one_network',
  'input': 'input.py',
  'pictures': 'pictures.py --pictures=10000 --steps=60',
  'startup': 'startup.py --repetitions=7',
  'restart': 'restart.py',
  'parallel': 'parallel.py --rounds=1',
  'evaluator': 'evaluation.py --models=1 --examples=1000 --rounds=5',
}

_ONLY = flags.DEFINE_list('only', [], 'Some of: ' + ', '.join(_COMMANDS) + '.')


def _measure(command: str) -> str:
  """Runs a benchmark and returns the Markdown that it prints."""
  script, *arguments = command.split()
  done = subprocess.run(
    [sys.executable, os.path.join(_HERE, script), *arguments],
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  return done.stdout.strip()


def _insert(page: str, name: str, text: str) -> str:
  """Returns the page with a benchmark's text in its place."""
  begin, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
  pattern = re.compile(f'{begin}.*?{end}', re.DOTALL)
  if not pattern.search(page):
    raise ValueError(f'docs/performance.md lacks {begin} ... {end}')
  return pattern.sub(lambda _: f'{begin}\n{text}\n{end}', page)


def main(argv):
  del argv
  unknown = set(_ONLY.value) - set(_COMMANDS)
  if unknown:
    sys.exit(
      f'error: --only must name some of {", ".join(_COMMANDS)}, not '
      f'{", ".join(sorted(unknown))}'
    )
  for name in _ONLY.value or _COMMANDS:
    command = _COMMANDS[name]
    print(f'{name}: python benchmarks/{command}', flush=True)
    text = f'`python benchmarks/{command}`\n\n{_measure(command)}'
    print(f'\n{text}\n', flush=True)
    with open(_PAGE, encoding='utf-8') as file:
      page = _insert(file.read(), name, text)
    with open(_PAGE, 'w', encoding='utf-8') as file:
      file.write(page)


if __name__ == '__main__':
  app.run(main)
