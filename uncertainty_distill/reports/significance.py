"""Which differences between systems are more than their seeds'."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence

from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.reports import tables

_LEVEL = 0.05


def best(
  results: Sequence[results_lib.Result], names: Iterable[str] = tables.COLUMNS
) -> dict[str, tuple[str, ...]]:
  """Finds the best systems of each figure: those to set in bold.

  They are the one of the best mean over seeds, and all whose means cannot be
  told from it. Systems with one seed, or with a figure that is no finite
  number, take no part. Since the best one is found in the same data, and seeds
  are few, this says which systems may be as good, not that they are.

  Args:
    results: Records of any systems and seeds.
    names: Figures, `c_` before those of corrupted images.

  Returns:
    From each figure with two systems or more to compare to their labels, in
    the order of the results.
  """
  systems = aggregation.by_seed(results)
  found = {}
  for name in names:
    samples = {}
    for label, seeds in systems.items():
      values = [seed[name] for seed in seeds if name in seed]
      if 1 < len(values) == len(seeds) and all(map(math.isfinite, values)):
        samples[label] = values
    if len(samples) > 1:
      found[name] = not_told_from_best(samples, tables.higher_is_better(name))
  return found


def not_told_from_best(
  samples: Mapping[str, Sequence[float]],
  higher_is_better: bool = False,
  level: float = _LEVEL,
) -> tuple[str, ...]:
  """Returns the best sample's label, and those that cannot be told from it.

  Each is compared with the best by Welch's t-test, which lets variances differ;
  Holm's correction (1979) bounds the probability of any false rejection.

  Args:
    samples: From labels to a figure's values over seeds, two at least.
    higher_is_better: Which end is the best.
    level: Of all the tests together.
  """
  sign = -1 if higher_is_better else 1
  first = min(samples, key=lambda x: sign * statistics.fmean(samples[x]))
  p_values = {
    label: _welch(values, samples[first])
    for label, values in samples.items()
    if label != first
  }
  told = set()
  for rank, label in enumerate(sorted(p_values, key=p_values.get)):
    if p_values[label] > level / (len(p_values) - rank):
      break
    told.add(label)
  return tuple(label for label in samples if label not in told)


def _welch(one: Sequence[float], other: Sequence[float]) -> float:
  """Returns the two-sided p-value of Welch's t-test."""
  # It takes a second to import, which no command should wait for at its start.
  from scipy import stats

  if not statistics.pvariance(one) and not statistics.pvariance(other):
    # The statistic is 0 / 0, or infinite.
    return float(one[0] == other[0])
  with warnings.catch_warnings():
    # Of variances near the precision of a float, where p is near 0 or 1.
    warnings.simplefilter('ignore', RuntimeWarning)
    return float(stats.ttest_ind(one, other, equal_var=False).pvalue)
