"""Tests which systems differ by more than their seeds do."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence

from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.metrics import metric_spec
from uncertainty_distill.reports import tables

LEVEL = 0.05


def best(results: Sequence[results_lib.Result]) -> dict[str, tuple[str, ...]]:
  """Finds the best systems by each metric: those to set in bold.

  They are the system with the best mean over seeds, and all systems whose means
  do not differ from it significantly. Systems with one seed, or with a
  non-finite value, take no part. The best mean is found in the same data, and
  seeds are few. So this says which systems may be as good, not that they are.

  Args:
    results: Records of any systems and seeds.

  Returns:
    From each of `tables.COLUMNS` that two or more systems can be compared by,
    to the labels of the best systems, in the order of the results.
  """
  systems = aggregation.by_seed(results)
  found = {}
  for name in tables.COLUMNS:
    samples = {}
    for label, seeds in systems.items():
      values = [seed[name] for seed in seeds if name in seed]
      if 1 < len(values) == len(seeds) and all(map(math.isfinite, values)):
        samples[label] = values
    if len(samples) > 1:
      found[name] = not_told_from_best(
        samples, metric_spec(name).higher_is_better
      )
  return found


def not_told_from_best(
  samples: Mapping[str, Sequence[float]],
  higher_is_better: bool | None = False,
) -> tuple[str, ...]:
  """Returns the labels of the best sample and of all that may be as good.

  Each sample is compared with the best one by Welch's t-test, which lets
  variances differ. Holm's correction (1979) bounds the probability of any false
  rejection.

  Args:
    samples: From labels to a metric's values over seeds, at least two.
    higher_is_better: Whether the largest mean is the best.
  """
  sign = -1 if higher_is_better else 1
  first = min(samples, key=lambda x: sign * statistics.fmean(samples[x]))
  p_values = {
    label: _welch(values, samples[first])
    for label, values in samples.items()
    if label != first
  }
  adjusted = dict(zip(p_values, holm(list(p_values.values()))))
  return tuple(
    label for label in samples if not adjusted.get(label, 1.0) <= LEVEL
  )


def holm(p_values: Sequence[float]) -> list[float]:
  """Returns p-values adjusted for their number (Holm, 1979); NaN stays NaN."""
  order = sorted(
    (i for i, p in enumerate(p_values) if not math.isnan(p)),
    key=p_values.__getitem__,
  )
  adjusted, largest = list(p_values), 0.0
  for rank, index in enumerate(order):
    largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
    adjusted[index] = largest
  return adjusted


def _welch(one: Sequence[float], other: Sequence[float]) -> float:
  """Returns the two-sided p-value of Welch's t-test; NaN without any spread.

  Metrics that are shares of few images are often the same for two seeds. That
  says nothing about a third seed.
  """
  # Importing SciPy takes a second. No command should wait for it at its start.
  from scipy import stats

  if all(
    statistics.pstdev(x) <= 1e-12 * max(map(abs, x)) for x in (one, other)
  ):
    return math.nan
  with warnings.catch_warnings():
    # Variances near the precision of a float give a p near 0 or 1.
    warnings.simplefilter('ignore', RuntimeWarning)
    return float(stats.ttest_ind(one, other, equal_var=False).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
