"""The paper's table, in Markdown that also lines up in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from uncertainty_distill import plots
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.reports import markup

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

# How far members differ. Without arrows: neither much nor little is better.
DIVERSITY_COLUMNS = {
  'disagreement': 'Disagreement',
  'mutual_information': 'Mutual information',
  'pairwise_kl': 'Pairwise KL',
  'masegosa_variance': 'Variance × 10³',
  'c_disagreement': 'c-Disagreement',
  'c_mutual_information': 'c-Mutual information',
  'c_pairwise_kl': 'c-Pairwise KL',
  'c_masegosa_variance': 'c-Variance × 10³',
}

_SCALES = dict.fromkeys(
  ('aurc', 'c_aurc', 'masegosa_variance', 'c_masegosa_variance'), 1000
)
MISSING = '-'


@dataclasses.dataclass(frozen=True)
class ModelSize:
  """How large a model is.

  Attributes:
    members: The members of the ensemble; 1 for a single network.
    parameters: All trained parameters, those of every member counted; 0 where
      they are not known.
  """

  members: int
  parameters: int


def table(
  rows: Mapping[str, aggregation.Aggregate],
  sizes: Mapping[str, ModelSize] | None = None,
  columns: Mapping[str, str] | None = None,
  marked: Mapping[str, Collection[str]] | None = None,
) -> str:
  """Lays out a Markdown table whose columns line up in a terminal too.

  Args:
    rows: From models' labels to their aggregates; the rows keep the order.
    sizes: From labels to sizes; adds two columns.
    columns: From figures' names to headings; by default the paper's.
    marked: From figures' names to the labels whose cells stand in bold, as
      `significance.best` returns them.

  Returns:
    The lines of the table, without a newline at the end: three decimals, `±`
    and the standard deviation where several seeds were run, `-` for what is
    not known.
  """
  columns = COLUMNS if columns is None else columns
  header = ['Model', *(['Members', 'Parameters'] if sizes else ())]
  header += columns.values()
  lines = []
  for label, figures in rows.items():
    cells = [markup.escaped(plots.display_name(label))]
    if sizes:
      size = sizes.get(label)
      cells += (
        [str(size.members), _count(size.parameters) or MISSING]
        if size
        else [MISSING, MISSING]
      )
    for name in columns:
      cell = figure_cell(
        *figures.get(name, (None,)), scale=_SCALES.get(name, 1)
      )
      bold = (marked or {}).get(name, ())
      cells.append(_marked(cell, label in bold) if bold else cell)
    lines.append(cells)
  return markdown_table(header, lines)


def markdown_table(
  header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1
) -> str:
  """Lays out cells so that the columns line up in a terminal too.

  Args:
    header: The headings.
    rows: Of as many cells each.
    text_columns: How many columns, from the left, hold text; those after them
      hold numbers and are set to the right.

  Returns:
    The lines of the table, without a newline at the end.
  """
  widths = [max(map(len, column)) for column in zip(header, *rows)]
  rule = [
    '-' * width if index < text_columns else '-' * (width - 1) + ':'
    for index, width in enumerate(widths)
  ]
  return '\n'.join(
    _line(cells, widths, text_columns) for cells in (header, rule, *rows)
  )


def higher_is_better(name: str) -> bool:
  """Tells where the better values of a figure in a table's columns are."""
  return (COLUMNS | MORE_COLUMNS)[name].endswith('↑')


def figure_cell(
  mean: float | None, deviation: float | None = None, scale: float = 1
) -> str:
  """Returns a cell: `0.968`, `0.968 ± 0.001`, or `-`."""
  if mean is None:
    return MISSING
  spread = '' if deviation is None else f' ± {scale * deviation:.3f}'
  return f'{scale * mean:.3f}{spread}'


def _marked(cell: str, bold: bool) -> str:
  """Returns the cell in bold, or so that its digits stand below bold ones."""
  return f'**{cell}**' if bold else f'{cell}  '


def _count(number: int) -> str:
  """Returns a number of parameters to three or more digits, `36.5M`, or ''."""
  for unit, letter in ((1e9, 'B'), (1e6, 'M'), (1e3, 'k')):
    # 999,950 is where one decimal of thousands would round to 1000.0k.
    if number >= unit * 0.99995:
      return f'{number / unit:.1f}{letter}'
  return str(number or '')


def _line(
  cells: Sequence[str], widths: Sequence[int], text_columns: int
) -> str:
  """Returns one row: texts to the left, numbers to the right."""
  padded = [
    cell.ljust(width) if index < text_columns else cell.rjust(width)
    for index, (cell, width) in enumerate(zip(cells, widths))
  ]
  return f'| {" | ".join(padded)} |'
