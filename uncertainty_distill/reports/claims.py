"""Decides claims about systems, by paired tests over their seeds."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from uncertainty_distill import plots
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.metrics import CORRUPTED, PAPER, metric_spec
from uncertainty_distill.reports import tables
from uncertainty_distill.reports.significance import LEVEL, holm
from uncertainty_distill.runtime import markup

KINDS = ('better', 'not_worse', 'equal')
HOLDS, FAILS, UNDECIDED = 'holds', 'does not hold', 'undecided'
_COMPARED = (*PAPER, *(CORRUPTED + name for name in PAPER))


@dataclasses.dataclass(frozen=True)
class Claim:
  """A claim that compares two systems.

  Attributes:
    name: The claim's label.
    title: The claim as a sentence.
    kind: `better`: the mean of each metric is better; less diversity, a lower
      temperature and a lower coverage of prediction sets count as better.
      `not_worse`: each mean is worse by less than its margin, if at all.
      `equal`: each mean differs by less than its margin.
    system: The label of the system that the claim is about.
    other: The label of the system to compare with. A teacher has no seeds, so
      its one value is compared with every seed.
    metrics: The names of the metrics of a `better` claim. The prefix `c_` is
      for corrupted images.
    margins: From the names of the metrics of any other claim to their margins,
      which must be chosen before the results are known.
  """

  name: str
  title: str
  kind: str
  system: str
  other: str
  metrics: tuple[str, ...] = ()
  margins: Mapping[str, float] = dataclasses.field(default_factory=dict)

  @property
  def tested(self) -> tuple[str, ...]:
    """The metrics that the claim is about."""
    return self.metrics or tuple(self.margins)


@dataclasses.dataclass(frozen=True)
class Finding:
  """What results say about one metric of a claim.

  Attributes:
    claim: The claim.
    metric: The metric.
    difference: The mean over seeds of the system's value minus the other's; NaN
      if the two have no seed in common.
    interval: The 95% confidence interval of the difference. The interval and
      the p-values are NaN if fewer than two seeds are known, if a value is not
      finite, or if all seeds differ by the same.
    p_value: The probability that results would support the claim as clearly if
      it were wrong, after Holm's correction over all findings. For `better`,
      the probability that results would favor either system as clearly if the
      two were equal.
    p_against: The probability that results would contradict a claim with a
      margin as clearly if it were right, corrected likewise; NaN for `better`.
    verdict: `HOLDS`, `FAILS` or `UNDECIDED`.
    pairs: The number of seeds that both systems have.
  """

  claim: Claim
  metric: str
  difference: float
  interval: tuple[float, float]
  p_value: float
  p_against: float = math.nan
  verdict: str = UNDECIDED
  pairs: int = 0


def decide(
  claims: Sequence[Claim], results: Sequence[results_lib.Result]
) -> list[Finding]:
  """Tests claims by paired tests over seeds.

  The probability that any of the claims that hold is wrong is at most 5%. The
  same bound applies to the claims with a margin that do not hold.

  Values of the same seed are a pair. `better` is decided by the paired t-test,
  `not_worse` by its one-sided form against the margin, and `equal` by two
  one-sided tests (Schuirmann, 1987). A claim fails if `better` finds the other
  system significantly better, or if the difference is significantly beyond the
  margin.

  Args:
    claims: The claims to decide.
    results: Records of the systems and seeds.

  Returns:
    A finding for each claim and metric, in their order.
  """
  systems = aggregation.summaries(results)
  findings = [
    _test(claim, name, _differences(systems, claim, name))
    for claim in claims
    for name in claim.tested
  ]
  columns = (
    holm([getattr(finding, name) for finding in findings])
    for name in ('p_value', 'p_against')
  )
  corrected = [
    dataclasses.replace(finding, p_value=p, p_against=against)
    for finding, p, against in zip(findings, *columns, strict=True)
  ]
  return [dataclasses.replace(f, verdict=_verdict(f)) for f in corrected]


def overall(findings: Sequence[Finding]) -> str:
  """Returns the verdict on a claim from the verdicts on its metrics."""
  verdicts = {finding.verdict for finding in findings}
  if FAILS in verdicts:
    return FAILS
  return HOLDS if verdicts == {HOLDS} else UNDECIDED


def claims_table(findings: Sequence[Finding]) -> str:
  """Returns the findings as a table in Markdown, a row for each metric."""
  header = ['Claim', 'Metric', 'Verdict', 'Difference (95%)', 'Margin']
  header += ['p', 'Seeds']
  rows, said = [], set()
  for finding in findings:
    claim = finding.claim
    verdict = overall([f for f in findings if f.claim is claim])
    title = f'{markup.escaped(claim.title)}: **{verdict}**'
    rows.append(
      [
        '' if claim.name in said else title,
        metric_spec(finding.metric).column,
        finding.verdict,
        _interval(finding),
        _margin(finding),
        _p_value(finding),
        str(finding.pairs),
      ]
    )
    said.add(claim.name)
  return tables.markdown_table(header, rows, text_columns=3)


def differences_table(
  labels: Sequence[str], other: str, results: Sequence[results_lib.Result]
) -> str:
  """Compares many systems with one, as a table in Markdown.

  A cell has a system's mean difference from `other` over seeds, and its 95%
  interval. It is bold if the two differ significantly: by the paired t-test,
  with Holm's correction over the systems of its column.

  Args:
    labels: The systems, row by row; `other` is left out.
    other: The label of the system to compare with.
    results: Records of the systems and seeds.

  Returns:
    The lines of the table, with the paper's metrics that are known as columns.
  """
  rows = [label for label in labels if label != other]
  header, columns = ['Model'], []
  systems = aggregation.summaries(results)
  claims = [Claim(x, x, 'better', x, other) for x in rows]
  for name in _COMPARED:
    findings = [_test(x, name, _differences(systems, x, name)) for x in claims]
    p_values = holm([finding.p_value for finding in findings])
    if any(finding.pairs for finding in findings):
      header.append(metric_spec(name).column)
      columns.append(
        [
          tables.marked_cell(_interval(finding), p <= LEVEL)
          for finding, p in zip(findings, p_values, strict=True)
        ]
      )
  names = [markup.escaped(plots.display_name(label)) for label in rows]
  return tables.markdown_table(header, list(zip(names, *columns, strict=True)))


def _interval(finding: Finding) -> str:
  """Returns a difference, with its interval if that is known."""
  if math.isnan(finding.difference):
    return tables.MISSING
  scale = metric_spec(finding.metric).scale
  low, high = (scale * bound for bound in finding.interval)
  spread = '' if math.isnan(low) else f' ({low:+.3f} to {high:+.3f})'
  return f'{scale * finding.difference:+.3f}{spread}'


def _margin(finding: Finding) -> str:
  """Returns the largest difference for the worse, or to either side."""
  claim, spec = finding.claim, metric_spec(finding.metric)
  if claim.kind == 'better':
    return tables.MISSING
  signs = {'equal': '±', 'not_worse': '-' if spec.higher_is_better else '+'}
  return f'{signs[claim.kind]}{spec.scale * claim.margins[finding.metric]:.3f}'


def _p_value(finding: Finding) -> str:
  """Returns the p-value that the verdict rests on."""
  failed = finding.p_against <= LEVEL
  p = finding.p_against if failed else finding.p_value
  if math.isnan(p):
    return tables.MISSING
  return f'{p:.3f}' if p >= 5e-4 else '<0.001'


def _differences(
  systems: Mapping[str, Mapping[int | None, aggregation.Summary]],
  claim: Claim,
  name: str,
) -> list[float]:
  """Returns the differences for the seeds that both systems have."""
  own, others = systems.get(claim.system, {}), systems.get(claim.other, {})
  differences = []
  # A teacher has no seed.
  for seed in others if None in own else own:
    one, other = (of.get(seed, of.get(None, {})) for of in (own, others))
    if name in one and name in other:
      differences.append(one[name] - other[name])
  return differences


def _test(claim: Claim, name: str, differences: Sequence[float]) -> Finding:
  """Returns a finding before its p-values are corrected."""
  # Importing SciPy takes a second. No command should wait for it at its start.
  from scipy import stats

  nan = math.nan
  # `statistics.fmean` raises for infinities of both signs, `stdev` for NaN.
  count = len(differences)
  mean = sum(differences) / count if count else nan
  unknown = Finding(claim, name, mean, (nan, nan), nan, pairs=count)
  if count < 2 or not math.isfinite(mean):
    return unknown
  freedom = count - 1
  error = statistics.stdev(differences) / math.sqrt(count)
  # Metrics that are shares of few images often differ by the same for two
  # seeds. That says nothing about how far off a third seed would be.
  # The differences of shares, at most 1, are rounded by some 1e-16.
  if error <= 1e-12 * max(1e-2, *map(abs, differences)):
    return unknown
  half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
  sign = 1 if metric_spec(name).higher_is_better else -1

  def above(bound: float, value: float) -> float:
    """Returns the one-sided p-value of a mean above a bound."""
    return float(stats.t.sf((value - bound) / error, freedom))

  margin, against = claim.margins.get(name, 0.0), nan
  if claim.kind == 'better':
    p = 2 * min(above(0, mean), above(0, -mean))
  elif claim.kind == 'not_worse':
    p = above(-margin, sign * mean)
    against = above(margin, -sign * mean)
  else:
    p = max(above(-margin, mean), above(-margin, -mean))
    against = 2 * min(above(margin, mean), above(margin, -mean))
  return dataclasses.replace(
    unknown,
    interval=(mean - half, mean + half),
    p_value=min(p, 1.0),
    p_against=min(against, 1.0),
  )


def _verdict(finding: Finding) -> str:
  """Returns the verdict that follows from the corrected p-values."""
  if finding.p_against <= LEVEL:
    return FAILS
  if not finding.p_value <= LEVEL:
    return UNDECIDED
  sign = 1 if metric_spec(finding.metric).higher_is_better else -1
  worse = finding.claim.kind == 'better' and sign * finding.difference < 0
  return FAILS if worse else HOLDS
