"""Averages of results over corruptions, severities and seeds.

The order of the averages is that of the paper. The values of a metric for each
type of corruption and severity are averaged over types, then over severities,
then over seeds.
"""

from __future__ import annotations

import collections
import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from uncertainty_distill import errors
from uncertainty_distill import metrics as metrics_lib
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.metrics import ranking

import numpy as np

Result = results_lib.Result
Summary = dict[str, float]
Aggregate = dict[str, tuple[float, float | None]]

_Key = TypeVar('_Key', bound=Hashable)


def summary(results: Sequence[Result]) -> Summary:
  """Averages the results of one model and one seed.

  Metrics on corrupted images are means over the types of corruption at each
  severity, then over severities. The order matters if not every type has every
  severity.

  Args:
    results: Records of one model and seed, at most one for each shift.

  Returns:
    From the names in `METRICS` to the values on clean images, and from the
    names with the prefix `c_` to the averages on corrupted images, as far as
    there are results. An average leaves out the sets on which a metric is not
    defined (`auroc_misclassification` if a model makes no error).

  Raises:
    InputError: The results are of several models or seeds, or have a shift
      twice.
  """
  owners = sorted({(result.model, str(result.seed)) for result in results})
  if len(owners) > 1:
    raise errors.InputError(
      'results', owners, 'results of one model and one seed'
    )
  shifts = collections.Counter(result.shift for result in results)
  for shift, count in shifts.most_common(1):
    if count > 1:
      raise errors.InputError(
        'results', shift, 'results that have each shift only once'
      )
  averages = {}
  for name in metrics_lib.METRICS:
    severities: dict[int, list[float]] = {}
    for result in results:
      if name in result.metrics:
        values = severities.setdefault(result.shift.severity, [])
        values.append(result.metrics[name])
    clean = severities.pop(0, None)
    if clean is not None:
      averages[name] = clean[0]
    if severities:
      averages[metrics_lib.CORRUPTED + name] = statistics.fmean(
        statistics.fmean(values) for values in severities.values()
      )
  return averages


def by_severity(
  results: Iterable[Result], name: str
) -> dict[int, tuple[float, ...]]:
  """Gathers one model's values of a metric at each severity.

  Args:
    results: Records of one model, of one seed or several.
    name: One of `METRICS`.

  Returns:
    From each severity (0 for clean), in order, to the values of the types of
    corruption. A type's value is its mean over seeds. Records without the
    metric are left out.
  """
  severities: dict[int, list[float]] = {}
  for shift, mean in _means_over_seeds(results, name).items():
    severities.setdefault(shift.severity, []).append(mean)
  return {
    severity: tuple(severities[severity]) for severity in sorted(severities)
  }


def risk_curves(
  results: Iterable[Result], severity: int
) -> dict[int | None, dict[float, float]]:
  """Gathers one model's risk-coverage curves at a severity.

  Args:
    results: Records of one model, of one seed or several.
    severity: 0 for clean images.

  Returns:
    From each seed to a curve, from coverages to the mean of the risk over the
    types of corruption. Records without risks are left out.
  """
  chosen = (r for r in results if r.shift.severity == severity and r.risks)
  return {
    seed: dict(
      zip(ranking.COVERAGES, np.mean([r.risks for r in of_seed], axis=0))
    )
    for seed, of_seed in _group(chosen, lambda result: result.seed).items()
  }


def by_corruption(
  results: Iterable[Result], name: str
) -> dict[str, dict[int, float]]:
  """Gathers one model's values of a metric under each corruption.

  Args:
    results: Records of one model, of one seed or several.
    name: One of `METRICS`.

  Returns:
    From each corruption's name, in the order of the enum, to severities, to the
    mean over seeds. Clean records and records without the metric are left out.
  """
  values: dict[str, dict[int, float]] = {}
  for shift, mean in sorted(_means_over_seeds(results, name).items()):
    if shift.corruption:
      values.setdefault(shift.corruption.value, {})[shift.severity] = mean
  return values


def _means_over_seeds(
  results: Iterable[Result], name: str
) -> dict[corruptions.Shift, float]:
  """Returns one model's mean of a metric under each shift that has it."""
  known = [result for result in results if name in result.metrics]
  return {
    shift: statistics.fmean(result.metrics[name] for result in seeds)
    for shift, seeds in _group(known, lambda result: result.shift).items()
  }


def aggregate(summaries: Sequence[Summary]) -> Aggregate:
  """Returns each metric's mean and standard deviation over seeds.

  This is the sample standard deviation (its divisor is one less than the number
  of seeds). With one seed it is None, not 0: nothing is known about the spread.

  Args:
    summaries: One summary for each seed. A metric that one summary lacks is
      left out: a mean over fewer seeds than the means beside it would mislead.
  """
  if not summaries:
    return {}
  averages = {}
  for name in summaries[0]:
    if all(name in other for other in summaries):
      values = [other[name] for other in summaries]
      # Two passes in plain arithmetic: `statistics.stdev` refuses NaN.
      mean = statistics.fmean(values)
      squares = sum((value - mean) ** 2 for value in values)
      deviation = math.sqrt(squares / (len(values) - 1)) if values[1:] else None
      averages[name] = (mean, deviation)
  return averages


def aggregate_models(results: Iterable[Result]) -> dict[str, Aggregate]:
  """Summarizes every model and seed, and aggregates each model's seeds.

  Args:
    results: Records of any models and seeds.

  Returns:
    From each model's label, in order of appearance, to its aggregate.

  Raises:
    InputError: A model has two records of the same seed and shift.
  """
  return {label: aggregate(seeds) for label, seeds in by_seed(results).items()}


def by_seed(results: Iterable[Result]) -> dict[str, list[Summary]]:
  """Returns each model's summaries, one for each of its seeds.

  Raises:
    InputError: A model has two records of the same seed and shift.
  """
  return {
    label: list(seeds.values()) for label, seeds in summaries(results).items()
  }


def summaries(
  results: Iterable[Result],
) -> dict[str, dict[int | None, Summary]]:
  """Returns the summary of each model and each of its seeds.

  Raises:
    InputError: A model has two records of the same seed and shift.
  """
  found: dict[str, dict[int | None, Summary]] = {}
  for records in _group(results, lambda result: result.key).values():
    first = records[0]
    found.setdefault(first.model, {})[first.seed] = summary(records)
  return found


def by_model(results: Iterable[Result]) -> dict[str, list[Result]]:
  """Returns the records of each model; models are in order of appearance."""
  return _group(results, lambda result: result.model)


def _group(
  results: Iterable[Result], key: Callable[[Result], _Key]
) -> dict[_Key, list[Result]]:
  """Groups the records by `key(record)`, in order of appearance."""
  groups: dict[_Key, list[Result]] = {}
  for result in results:
    groups.setdefault(key(result), []).append(result)
  return groups
