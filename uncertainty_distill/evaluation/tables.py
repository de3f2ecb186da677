"""The paper's table, in Markdown that also lines up in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

from uncertainty_distill import plots
from uncertainty_distill.evaluation import summaries

# From a figure's name to its heading; the arrow points to where better is.
COLUMNS = {
    'accuracy': 'Accuracy ↑',
    'ece': 'ECE ↓',
    'nll': 'NLL ↓',
    'gibbs_nll': 'Gibbs NLL ↓',
    'c_accuracy': 'c-Accuracy ↑',
    'c_ece': 'c-ECE ↓',
    'c_nll': 'c-NLL ↓',
}

# What the paper does not report.
MORE_COLUMNS = {
    'adaptive_ece': 'Adaptive ECE ↓',
    'brier': 'Brier ↓',
    'auroc_misclassification': 'AUROC errors ↑',
    'aurc': 'AURC × 10³ ↓',
    'auroc_ood': 'AUROC OOD ↑',
    'c_adaptive_ece': 'c-Adaptive ECE ↓',
    'c_brier': 'c-Brier ↓',
    'c_auroc_misclassification': 'c-AUROC errors ↑',
    'c_aurc': 'c-AURC × 10³ ↓',
}

_SCALES = {'aurc': 1000, 'c_aurc': 1000}
_MISSING = '-'


@dataclasses.dataclass(frozen=True)
class ModelSize:
  """How large a model is.

  Attributes:
    members: The members of the ensemble; 1 for a single network.
    parameters: All trained parameters, those of every member counted.
  """

  members: int
  parameters: int


def table(
    rows: Mapping[str, summaries.Aggregate],
    sizes: Mapping[str, ModelSize] | None = None,
    columns: Mapping[str, str] | None = None,
) -> str:
  """Lays out a Markdown table whose columns line up in a terminal too.

  Args:
    rows: From models' labels to their aggregates; the rows keep the order.
    sizes: From labels to sizes; adds two columns.
    columns: From figures' names to headings; by default the paper's.

  Returns:
    The lines of the table, without a newline at the end: three decimals, `±`
    and the standard deviation where several seeds were run, `-` for what is
    not known.
  """
  columns = COLUMNS if columns is None else columns
  lines = [['Model']]
  if sizes:
    lines[0] += ['Members', 'Parameters']
  lines[0] += columns.values()
  for label, figures in rows.items():
    cells = [plots.display_name(label).replace('|', r'\|')]
    if sizes:
      size = sizes.get(label)
      cells += (
          [str(size.members), _count(size.parameters)]
          if size else [_MISSING, _MISSING]
      )
    cells += [
        _figure(_SCALES.get(name, 1), *figures.get(name, ()))
        for name in columns
    ]
    lines.append(cells)
  widths = [max(map(len, column)) for column in zip(*lines)]
  rule = [f'{"":->{width - 1}}:' for width in widths]
  rule[0] = '-' * widths[0]
  lines.insert(1, rule)
  return '\n'.join(_line(cells, widths) for cells in lines)


def _figure(
    scale: float, mean: float | None = None, deviation: float | None = None
) -> str:
  """Returns a cell: `0.968`, `0.968 ± 0.001`, or `-`."""
  if mean is None:
    return _MISSING
  spread = '' if deviation is None else f' ± {scale * deviation:.3f}'
  return f'{scale * mean:.3f}{spread}'


def _count(number: int) -> str:
  """Returns a number of parameters to three or more digits: `36.5M`."""
  for unit, letter in ((1e9, 'B'), (1e6, 'M'), (1e3, 'k')):
    # 999,950 is where one decimal of thousands would round to 1000.0k.
    if number >= unit * 0.99995:
      return f'{number / unit:.1f}{letter}'
  return str(number)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
  """Returns one row: the label to the left, the numbers to the right."""
  label, *numbers = cells
  padded = [label.ljust(widths[0])]
  padded += [cell.rjust(width) for cell, width in zip(numbers, widths[1:])]
  return f'| {" | ".join(padded)} |'
