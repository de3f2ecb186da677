"""The five tables of the paper, by the labels that studies give to systems."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from importlib import resources

from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.reports import paper_orderings

_FILE = 'paper_tables.json'


@dataclasses.dataclass(frozen=True)
class PaperTable:
  """A table of Mariet, Jenatton, Wenzel and Tran (2020).

  Attributes:
    title: The number and the subject of the table.
    rows: From systems' labels to metrics' names, to the mean and the standard
      deviation over 10 seeds. The deviation is None for the deep ensemble, for
      which the paper gives none.
  """

  title: str
  rows: Mapping[str, aggregation.Aggregate]


@functools.cache
def load_paper_tables() -> Mapping[str, Mapping[str, PaperTable]]:
  """Returns the tables of WRN-28-10 and ensembles of 4.

  In the rows of BatchEnsembles that start from the reconstruction, accuracy and
  NLL are not over the same runs. An accuracy of 0.448 ± 0.367 is that of a
  mixture of trained and diverged runs. An NLL of 0.602 ± 0.046 can only be that
  of the trained runs.

  Returns:
    From `cifar10` (`table_1`, `table_3`) and `cifar100` (`table_2`, `table_4`,
    `table_5`) to the tables.
  """
  file = resources.files('uncertainty_distill.reports') / _FILE
  content = json.loads(file.read_text(encoding='utf-8'))
  return {
    dataset: {
      name: PaperTable(
        table['title'],
        {
          label: {name: tuple(cell) for name, cell in row.items()}
          for label, row in table['rows'].items()
        },
      )
      for name, table in content[dataset].items()
    }
    for dataset in ('cifar10', 'cifar100')
  }


def paper_rows(
  dataset: str, names: Iterable[str] = ()
) -> dict[str, aggregation.Aggregate]:
  """Returns the rows of several tables of one dataset together.

  Args:
    dataset: `cifar10` or `cifar100`.
    names: The names of tables, such as `table_1`; by default all of them.
  """
  tables = load_paper_tables()[dataset]
  rows = {}
  for name in names or tables:
    rows |= tables[name].rows
  return rows


def beside_paper(
  rows: Mapping[str, aggregation.Aggregate],
  published: Mapping[str, aggregation.Aggregate],
) -> list[str]:
  """Returns the sections that compare measured metrics with the paper's.

  Args:
    rows: From systems' labels to the measured metrics.
    published: From labels to the metrics that the paper reports.

  Returns:
    The section of `compare` and, if several seeds were measured, the section of
    `describe_orderings`. With one seed a system, no order is decided. Empty if
    the two have no system in common.
  """
  spreads = [spread for row in rows.values() for _, spread in row.values()]
  found = []
  if any(spread is not None for spread in spreads):
    found = paper_orderings.orderings(rows, published)
  sections = [
    paper_orderings.compare(rows, published),
    paper_orderings.describe_orderings(found),
  ]
  return [section for section in sections if section]
