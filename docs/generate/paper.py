"""Makes tables of a system's numbers, in the paper and in the studies here."""

from __future__ import annotations

import collections
import json
import pathlib
import re

_METRICS = {
  'accuracy': 'Accuracy ↑',
  'ece': 'ECE ↓',
  'nll': 'NLL ↓',
  'c_accuracy': 'c-Accuracy ↑',
  'c_ece': 'c-ECE ↓',
  'c_nll': 'c-NLL ↓',
}
# From the headings of rows to folders of `docs/results`. The first folder that
# has a system says its numbers.
_STUDIES = {
  'CIFAR-10, 16x16': ('cifar10_16px', 'cifar10_16px_full'),
  'Digits': ('digits',),
}
_MARK = re.compile(r'^<!-- numbers: (\w+) -->$', re.M)


def _rows(root: pathlib.Path) -> dict[str, dict[str, dict]]:
  """Returns the means and deviations of metrics, by origin and label."""
  path = root / 'uncertainty_distill/reports/paper_tables.json'
  published = json.loads(path.read_text())
  found = {}
  for dataset, name in ('cifar10', 'CIFAR-10'), ('cifar100', 'CIFAR-100'):
    found[f'Paper, {name}'] = {
      label: figures
      for table in published[dataset].values()
      for label, figures in table['rows'].items()
    }
  for name, folders in _STUDIES.items():
    summaries = (
      json.loads((root / f'docs/results/{folder}/summary.json').read_text())
      for folder in folders
    )
    found[name] = {
      label: {key: (f['mean'], f['std']) for key, f in figures.items()}
      for label, figures in collections.ChainMap(*summaries).items()
    }
  return found


def _number(mean: float, deviation: float | None) -> str:
  return f'{mean:.3f}' + ('' if deviation is None else f' ± {deviation:.3f}')


def with_numbers(text: str, root: pathlib.Path) -> str:
  """Returns a page with a table in place of each `<!-- numbers: X -->`.

  Args:
    text: The page.
    root: The root of the repository.

  Raises:
    KeyError: If there are no numbers of a system.
  """
  rows = _rows(root)

  def table(mark):
    lines = [
      f'| | {" | ".join(_METRICS.values())} |',
      '|---|' + '--:|' * len(_METRICS),
    ]
    for origin, systems in rows.items():
      if mark[1] in systems:
        figures = systems[mark[1]]
        cells = ' | '.join(_number(*figures[name]) for name in _METRICS)
        lines.append(f'| {origin} | {cells} |')
    if len(lines) == 2:
      raise KeyError(mark[1])
    return '\n'.join(lines)

  return _MARK.sub(table, text)
