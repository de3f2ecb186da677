"""The tables of corruption errors in a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill import evaluation, plots
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.reports import tables
from uncertainty_distill.runtime import markup

_MEANS = {
  evaluation.MCE: 'mCE',
  evaluation.RELATIVE_MCE: 'Relative mCE',
}
_EXPLANATION = (
  '- **mCE**: mean corruption error (Hendrycks and Dietterich, 2019): the '
  'error rates under a type of corruption, summed over severities and divided '
  'by those of {baseline}; then the mean over types. Below 1 is better than '
  '{baseline}.\n- **Relative mCE**: the same, but for the increase over the '
  'error rate on clean images.'
)


def aggregate(
  results: Sequence[evaluation.Result], baseline: evaluation.Errors
) -> dict[str, evaluation.Aggregate]:
  """Returns the corruption errors of each model that was scored on corruptions.

  Args:
    results: Records of any models and seeds.
    baseline: The baseline's error rates.

  Returns:
    From labels to the means and standard deviations over seeds of `mce`,
    `relative_mce` and the corruption error of each type.

  Raises:
    InputError: If the baseline lacks a type or a severity.
  """
  rows = {}
  for label, records in aggregation.by_model(results).items():
    seeds = {record.seed: [] for record in records}
    for record in records:
      seeds[record.seed].append(record)
    rows[label] = aggregation.aggregate(
      [
        evaluation.corruption_errors(evaluation.error_rates(own), baseline)
        for own in seeds.values()
      ]
    )
  return {label: values for label, values in rows.items() if values}


def sections(
  rows: Mapping[str, evaluation.Aggregate], baseline: str
) -> list[str]:
  """Returns the sections of a report, or [] if there is nothing to show.

  Args:
    rows: What `aggregate` returned.
    baseline: The name of the baseline, for readers.
  """
  if not rows:
    return []
  name = markup.escaped(baseline)
  names = [markup.escaped(plots.display_name(label)) for label in rows]
  kinds = dict.fromkeys(k for values in rows.values() for k in values)
  lines = [
    [
      _MEANS.get(kind, markup.escaped(plots.display_name(kind))),
      *(
        tables.metric_cell(*values.get(kind, (None, None)))
        for values in rows.values()
      ),
    ]
    # The means come first.
    for kind in sorted(kinds, key=lambda kind: kind not in _MEANS)
  ]
  return [
    '## Corruption error',
    tables.markdown_table(['', *names], lines),
    _EXPLANATION.format(baseline=name),
  ]
