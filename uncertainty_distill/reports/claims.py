"""Decides claims about systems, by paired tests over their seeds."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.metrics import metric_spec
from uncertainty_distill.reports import markup, tables
from uncertainty_distill.reports.significance import LEVEL, holm

KINDS = ('better', 'not_worse', 'equal')
HOLDS, FAILS, UNDECIDED = 'holds', 'does not hold', 'undecided'


@dataclasses.dataclass(frozen=True)
class Claim:
  """What is said of two systems.

  Attributes:
    name: The claim's label.
    title: The claim as a sentence.
    kind: `better`: the mean of each metric is better; less diversity and a
      lower temperature count as better. `not_worse`: it is worse
      by less than its margin, if at all. `equal`: it differs by less than its
      margin.
    system: The label of the system that the claim is about.
    other: The label of what it is compared with. A teacher, which has no seeds,
      is taken as it is.
    metrics: For `better`, the names of metrics, `c_` before those on corrupted
      images.
    margins: For the other kinds, from such names to their margins, which must
      be chosen before the results are known.
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
  """What results say of one metric of a claim.

  Attributes:
    claim: The claim.
    metric: The metric.
    difference: The mean of the system's values minus the other's, over seeds;
      NaN where they have no seed in common.
    interval: The 95% confidence interval of the difference; NaN, like the
      p-values, where fewer than two seeds are known, one is not finite, or all
      differ by the same.
    p_value: The probability of results that speak as clearly for the claim
      if it were wrong, after Holm's correction over all findings; for `better`
      of results that speak as clearly for either system.
    p_against: The same of results that speak against a claim with a margin.
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

  With a probability of at most 5% any of those that hold is wrong, and so is
  any of those with a margin that do not hold.

  Values of the same seed are a pair: `better` is the paired t-test, `not_worse`
  is its one-sided form against the margin, and `equal` is two of those
  (Schuirmann, 1987). A claim fails where `better` finds the other system
  significantly better, or where the difference is significantly beyond the
  margin.

  Args:
    claims: What to decide.
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
  """Returns the verdict on a claim from those on its metrics."""
  verdicts = {finding.verdict for finding in findings}
  if FAILS in verdicts:
    return FAILS
  return HOLDS if verdicts == {HOLDS} else UNDECIDED


def claims_table(findings: Sequence[Finding]) -> str:
  """Returns the findings as a table in Markdown, a row for each metric."""
  header = ['Claim', 'Metric', 'Verdict', 'Difference (95%)', 'p', 'Seeds']
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
        tables.MISSING
        if math.isnan(finding.p_value)
        else f'{finding.p_value:.3f}',
        str(finding.pairs),
      ]
    )
    said.add(claim.name)
  return tables.markdown_table(header, rows, text_columns=3)


def _interval(finding: Finding) -> str:
  """Returns a difference with its interval, which one seed does not give."""
  if math.isnan(finding.difference):
    return tables.MISSING
  scale = metric_spec(finding.metric).scale
  low, high = (scale * bound for bound in finding.interval)
  spread = '' if math.isnan(low) else f' ({low:+.3f} to {high:+.3f})'
  return f'{scale * finding.difference:+.3f}{spread}'


def _differences(
  systems: Mapping[str, Mapping[int | None, aggregation.Summary]],
  claim: Claim,
  name: str,
) -> list[float]:
  """Returns the differences of the seeds that both systems have."""
  own, others = systems.get(claim.system, {}), systems.get(claim.other, {})
  differences = []
  for seed, summary in own.items():
    # A teacher has no seed.
    other = others.get(seed, others.get(None, {}))
    if name in summary and name in other:
      differences.append(summary[name] - other[name])
  return differences


def _test(claim: Claim, name: str, differences: Sequence[float]) -> Finding:
  """Returns a finding before its p-values are corrected."""
  # SciPy takes a second to import: no command should wait for it at its start.
  from scipy import stats

  nan = math.nan
  # `statistics.fmean` refuses infinities of both signs, `stdev` NaN.
  count = len(differences)
  mean = sum(differences) / count if count else nan
  unknown = Finding(claim, name, mean, (nan, nan), nan, pairs=count)
  if count < 2 or not math.isfinite(mean):
    return unknown
  freedom = count - 1
  error = statistics.stdev(differences) / math.sqrt(count)
  # Shares of a few images are often the same for two seeds: that says nothing
  # of how far a third one would be off.
  if error <= 1e-12 * max(map(abs, differences)):
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
  """Returns the verdict by the corrected p-values."""
  if finding.p_against <= LEVEL:
    return FAILS
  if not finding.p_value <= LEVEL:
    return UNDECIDED
  sign = 1 if metric_spec(finding.metric).higher_is_better else -1
  worse = finding.claim.kind == 'better' and sign * finding.difference < 0
  return FAILS if worse else HOLDS
