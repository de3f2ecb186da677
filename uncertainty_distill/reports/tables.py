"""Tables in Markdown whose columns also line up in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from uncertainty_distill import plots
from uncertainty_distill.evaluation import aggregation, system_evaluation
from uncertainty_distill.metrics import (
  CORRUPTED,
  PAPER,
  SETS,
  TEMPERATURE,
  metric_spec,
)
from uncertainty_distill.runtime import markup

# The metrics that the tables show, column by column.
COLUMNS = (*PAPER, 'gibbs_nll', *(CORRUPTED + name for name in PAPER))
# More metrics, which the paper does not report.
MORE_COLUMNS = (
  'adaptive_ece',
  'brier',
  'c_adaptive_ece',
  'c_brier',
)
_SELECTIVE = (
  'auroc_misclassification',
  'aurc',
  'augrc',
  'risk_at_80',
  'coverage_at_5',
)
SELECTIVE_COLUMNS = (*_SELECTIVE, *(CORRUPTED + name for name in _SELECTIVE))
OOD_COLUMNS = (
  'auroc_ood',
  'auroc_ood_confidence',
  'auroc_ood_mutual_information',
  'aupr_ood',
  'fpr95_ood',
)
_CALIBRATION = ('overconfidence', 'underconfidence', 'classwise_ece')
CALIBRATION_COLUMNS = (
  *_CALIBRATION,
  *(CORRUPTED + name for name in _CALIBRATION),
)
_DIVERSITY = (
  'disagreement',
  'mutual_information',
  'pairwise_kl',
  'masegosa_variance',
)
DIVERSITY_COLUMNS = (*_DIVERSITY, *(CORRUPTED + name for name in _DIVERSITY))

# The metrics that are known if a temperature is fitted.
TEMPERATURE_COLUMNS = (*TEMPERATURE, f'{CORRUPTED}scaled_nll')
# The metrics that are known if prediction sets are calibrated.
SET_COLUMNS = (*SETS, *(CORRUPTED + name for name in SETS))

MISSING = '-'


def table(
  rows: Mapping[str, aggregation.Aggregate],
  sizes: Mapping[str, system_evaluation.ModelSize] | None = None,
  columns: Sequence[str] = COLUMNS,
  marked: Mapping[str, Collection[str]] | None = None,
) -> str:
  """Lays out models and their metrics as a table.

  Args:
    rows: From models' labels to their aggregates, row by row.
    sizes: From labels to sizes, which add two columns.
    columns: The metrics to show.
    marked: From metrics to the labels whose cells are bold, as
      `significance.best` returns them.

  Returns:
    The lines of the table, without a newline at the end. Values have three
    decimals, and after `±` the standard deviation if there are several seeds.
    An unknown value is `-`.
  """
  header = ['Model', *(['Members', 'Parameters'] if sizes else ())]
  header += [metric_spec(name).column for name in columns]
  lines = []
  for label, values in rows.items():
    cells = [markup.escaped(plots.display_name(label))]
    if sizes:
      size = sizes.get(label)
      cells += (
        [str(size.members), _count(size.parameters) or MISSING]
        if size
        else [MISSING, MISSING]
      )
    for name in columns:
      cell = metric_cell(
        *values.get(name, (None,)), scale=metric_spec(name).scale
      )
      bold = (marked or {}).get(name, ())
      cells.append(marked_cell(cell, label in bold) if bold else cell)
    lines.append(cells)
  return markdown_table(header, lines)


def markdown_table(
  header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1
) -> str:
  """Lays out cells so that the columns also line up in a terminal.

  Args:
    header: The headings.
    rows: The cells of each row, as many as there are headings.
    text_columns: The number of columns on the left that hold text; the others
      hold numbers and are aligned to the right.

  Returns:
    The lines of the table, without a newline at the end.
  """
  # A rule of a single character, `:`, would not be a table.
  widths = [max(2, *map(len, column)) for column in zip(header, *rows)]
  rule = [
    '-' * width if index < text_columns else '-' * (width - 1) + ':'
    for index, width in enumerate(widths)
  ]
  return '\n'.join(
    _line(cells, widths, text_columns) for cells in (header, rule, *rows)
  )


def metric_cell(
  mean: float | None, deviation: float | None = None, scale: float = 1
) -> str:
  """Returns a cell: `0.968`, `0.968 ± 0.001`, or `-`."""
  if mean is None:
    return MISSING
  spread = '' if deviation is None else f' ± {scale * deviation:.3f}'
  return f'{scale * mean:.3f}{spread}'


def marked_cell(cell: str, bold: bool) -> str:
  """Returns the cell in bold, or padded so that digits line up with bold."""
  return f'**{cell}**' if bold else f'{cell}  '


def _count(number: int) -> str:
  """Returns a number of parameters, such as `36.5M`, or '' for 0."""
  for unit, letter in ((1e9, 'B'), (1e6, 'M'), (1e3, 'k')):
    # 999,950 is where one decimal of thousands would round to 1000.0k.
    if number >= unit * 0.99995:
      return f'{number / unit:.1f}{letter}'
  return str(number or '')


def _line(
  cells: Sequence[str], widths: Sequence[int], text_columns: int
) -> str:
  """Returns one row: text aligned to the left, numbers to the right."""
  padded = [
    cell.ljust(width) if index < text_columns else cell.rjust(width)
    for index, (cell, width) in enumerate(zip(cells, widths))
  ]
  return f'| {" | ".join(padded)} |'
