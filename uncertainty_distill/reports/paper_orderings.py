"""Compares measured results with those that the paper reports."""

from __future__ import annotations

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from uncertainty_distill import plots
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.metrics import metric_spec
from uncertainty_distill.reports import tables

_Rows = Mapping[str, aggregation.Aggregate]
_Cell = tuple[float, float | None]

_ENSEMBLE = 'deep_ensemble'
_GIBBS = 'Deep ensemble (Gibbs NLL)'
_GIBBS_OF = {'nll': 'gibbs_nll', 'c_nll': 'c_gibbs_nll'}

AGREES, DISAGREES, UNDECIDED = 'agrees', 'disagrees', 'undecided'

_COMPARISON = (
  "- **Difference**: the measured value minus the paper's, divided by the "
  'root of the sum of both squared standard deviations over seeds; `-` if one '
  'of the deviations is not known.',
  "- **Gibbs NLL**: the mean of the members' NLLs. The paper's NLL of the"
  " deep ensemble is near a single network's, so it is probably this one.",
)
_LINE = 100  # Characters in a line of text, about as wide as the tables.


def compare(rows: _Rows, paper_rows: _Rows) -> str:
  """Shows the paper's values beside the measured ones.

  The difference is `(m - p) / sqrt(s_m^2 + s_p^2)`, with the standard
  deviations over seeds. It says how unusual the difference would be between one
  run here and one of the paper's. It is not a test of the means: the published
  means are rounded to 0.001, which is as much as their standard errors.

  Args:
    rows: From systems' labels to the measured metrics.
    paper_rows: From labels to the metrics that the paper reports. Systems that
      only one of the two has are left out.

  Returns:
    A Markdown table, metric by metric in the order of `rows`, and what its
    columns mean; empty if the two have no system in common.
  """
  lines = []
  rows, paper_rows = _with_gibbs(rows, paper_rows)
  for name in tables.COLUMNS:
    heading = metric_spec(name).column
    for label, measured, reported in _common(rows, paper_rows, name):
      lines.append(
        [
          heading,
          plots.display_name(label),
          tables.metric_cell(*measured),
          tables.metric_cell(*reported),
          _difference(measured, reported),
        ]
      )
      heading = ''
  if not lines:
    return ''
  header = ['Metric', 'Model', 'Measured', 'Paper', 'Difference']
  table = tables.markdown_table(header, lines, text_columns=2)
  return '\n\n'.join([table, '\n'.join(map(_wrapped, _COMPARISON))])


def _with_gibbs(rows: _Rows, paper_rows: _Rows) -> tuple[_Rows, _Rows]:
  """Adds the deep ensemble once more, with the Gibbs NLL as its NLL."""
  measured, reported = {}, {}
  ensemble, paper_ensemble = (x.get(_ENSEMBLE, {}) for x in (rows, paper_rows))
  for name, gibbs in _GIBBS_OF.items():
    if gibbs in ensemble and name in paper_ensemble:
      measured[name], reported[name] = ensemble[gibbs], paper_ensemble[name]
  # The added row follows the ensemble itself.
  added = {}
  for label, values in rows.items():
    added[label] = values
    if label == _ENSEMBLE and measured:
      added[_GIBBS] = measured
  return added, {**paper_rows, _GIBBS: reported}


def _common(
  rows: _Rows, paper_rows: _Rows, name: str
) -> list[tuple[str, _Cell, _Cell]]:
  """Returns (label, measured, paper's) for the systems with both values."""
  return [
    (label, values[name], paper_rows[label][name])
    for label, values in rows.items()
    if name in values and name in paper_rows.get(label, {})
  ]


def _difference(measured: _Cell, reported: _Cell) -> str:
  """Returns a difference in standard deviations; see `compare`."""
  if measured[1] is None or reported[1] is None:
    return tables.MISSING
  spread = math.hypot(measured[1], reported[1])
  if not spread or not math.isfinite(measured[0]) or not math.isfinite(spread):
    return tables.MISSING
  return f'{(measured[0] - reported[0]) / spread:+.1f}'


@dataclasses.dataclass(frozen=True)
class Ordering:
  """Two systems that differ in the paper, and how they compare here.

  Attributes:
    metric: The metric's name.
    better: The label of the system that is better in the paper.
    worse: The label of the other system.
    verdict: `agrees`, `disagrees` or `undecided`.
  """

  metric: str
  better: str
  worse: str
  verdict: str


def orderings(rows: _Rows, paper_rows: _Rows) -> list[Ordering]:
  """Compares the order of systems in the paper with the measured order.

  At another scale or on other images, orders may stay the same where values do
  not. Two means differ if their distance exceeds the root of the sum of their
  squared standard deviations over seeds. If only one of the two deviations is
  known, it alone counts. Pairs that do not differ in the paper are left out. A
  pair is undecided if its measured means do not differ, if neither of their
  deviations is known, or if one of the means is non-finite.

  Args:
    rows: From systems' labels to the measured metrics.
    paper_rows: From labels to the metrics that the paper reports. The deep
      ensemble's NLL is compared with both its measured NLL and Gibbs NLL.
  """
  found = []
  rows, paper_rows = _with_gibbs(rows, paper_rows)
  for name in tables.COLUMNS:
    sign = 1 if metric_spec(name).higher_is_better else -1
    for one, other in itertools.combinations(
      _common(rows, paper_rows, name), 2
    ):
      gap = sign * _gap(one[2], other[2])
      if gap:
        better, worse = (one, other) if gap > 0 else (other, one)
        measured = sign * _gap(better[1], worse[1])
        verdict = (
          UNDECIDED if not measured else AGREES if measured > 0 else DISAGREES
        )
        found.append(Ordering(name, better[0], worse[0], verdict))
  return found


def _gap(one: _Cell, other: _Cell) -> float:
  """Returns `one` minus `other`, or 0 if they do not differ."""
  gap = one[0] - other[0]
  known = [s for s in (one[1], other[1]) if s is not None]
  # In floating-point arithmetic alone, a difference of published values such as
  # 0.963 - 0.962 exceeds a deviation of 0.001.
  if not known or not math.isfinite(gap):
    return 0.0
  return gap if abs(gap) > math.hypot(*known) + 1e-9 else 0.0


def describe_orderings(found: Sequence[Ordering]) -> str:
  """Describes in Markdown what agrees with the paper and what does not.

  Args:
    found: What `orderings` returns.

  Returns:
    A section with the number of pairs for each metric and verdict, and lists of
    the pairs; empty if there are no pairs.
  """
  if not found:
    return ''
  groups: dict[str, dict[str, list[Ordering]]] = {}
  for pair in found:
    verdicts = groups.setdefault(metric_spec(pair.metric).column, {})
    verdicts.setdefault(pair.verdict, []).append(pair)
  order = AGREES, DISAGREES, UNDECIDED
  sections = [
    '### What agrees with the paper and what does not',
    _filled(
      'Pairs of systems that differ in the paper by more than its standard '
      'deviations. A pair is undecided if its measured values differ by less '
      'than their standard deviations, or if each has only one seed. *A over '
      'B* means that A is better in the paper.'
    ),
    tables.markdown_table(
      ['Pairs of systems', *map(plots.display_name, order)],
      [
        [column, *(str(len(verdicts.get(v, ()))) for v in order)]
        for column, verdicts in groups.items()
      ],
    ),
  ]
  for column, verdicts in groups.items():
    lists = [f'- {v}: {_pairs(verdicts[v])}' for v in order if v in verdicts]
    sections += [f'**{column}**', '\n'.join(map(_wrapped, lists))]
  return '\n\n'.join(sections)


def _pairs(found: Iterable[Ordering]) -> str:
  """Returns the pairs as text, such as `A over B, C; D over B`."""
  groups: dict[str, list[str]] = {}
  for pair in found:
    better = plots.display_name(pair.better)
    groups.setdefault(better, []).append(plots.display_name(pair.worse))
  return '; '.join(
    f'{better} over {", ".join(worse)}' for better, worse in groups.items()
  )


def _filled(text: str) -> str:
  return textwrap.fill(text, _LINE, break_long_words=False)


def _wrapped(item: str) -> str:
  """Returns an item of a list, wrapped into lines that fit a terminal."""
  return textwrap.fill(
    item,
    _LINE,
    subsequent_indent='  ',
    break_long_words=False,
    break_on_hyphens=False,
  )
