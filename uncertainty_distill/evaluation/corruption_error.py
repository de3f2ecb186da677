"""The corruption error of Hendrycks and Dietterich (2019).

"Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", section 3: a model's error rates under a type of corruption are
summed over severities, and divided by those of a baseline (AlexNet in the
paper). So types that are hard for all models count no more than others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from uncertainty_distill.data import corruptions
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation.results import Result

# From a shift to the share of its images that are classified wrongly.
Errors = Mapping[corruptions.Shift, float]

MCE, RELATIVE_MCE = 'mce', 'relative_mce'


def error_rates(results: Sequence[Result]) -> dict[corruptions.Shift, float]:
  """Returns the error rates of one model, averaged over its seeds."""
  accuracies: dict[corruptions.Shift, list[float]] = {}
  for result in results:
    accuracies.setdefault(result.shift, []).append(result.metrics['accuracy'])
  return {k: 1 - statistics.fmean(values) for k, values in accuracies.items()}


def corruption_errors(errors: Errors, baseline: Errors) -> dict[str, float]:
  """Returns the corruption error of each type, and their means.

  Args:
    errors: A model's error rates E on clean and corrupted images.
    baseline: The baseline's error rates B, at least under the same corruptions.

  Returns:
    For each type of corruption c, by its name,
    CE_c = sum_s E_{s,c} / sum_s B_{s,c} over severities s; `mce`, the mean of
    CE_c over types; and `relative_mce`, the mean of
    sum_s (E_{s,c} - E_clean) / sum_s (B_{s,c} - B_clean). A CE_c is left out if
    its denominator is not above 0. A mean is left out if one of its
    denominators is not above 0, or if there are no corruptions. `relative_mce`
    is also left out if a clean error rate is missing.

  Raises:
    InputError: If the baseline lacks one of the model's corruptions.
  """
  check_baseline(errors, baseline)
  kinds: dict[str, list[corruptions.Shift]] = {}
  for shift in sorted(errors):
    if shift.corruption:
      kinds.setdefault(shift.corruption.value, []).append(shift)
  found = _ratios(kinds, errors, baseline, 0.0, 0.0)
  values = dict(found)
  if kinds and len(found) == len(kinds):
    values[MCE] = statistics.fmean(found.values())
  if corruptions.CLEAN in errors and corruptions.CLEAN in baseline:
    clean = errors[corruptions.CLEAN], baseline[corruptions.CLEAN]
    relative = _ratios(kinds, errors, baseline, *clean)
    if kinds and len(relative) == len(kinds):
      values[RELATIVE_MCE] = statistics.fmean(relative.values())
  return values


def check_baseline(
  shifts: Iterable[corruptions.Shift], baseline: Errors
) -> None:
  """Raises an InputError if a baseline lacks a corruption among shifts."""
  missing = [s.label for s in shifts if s.corruption and s not in baseline]
  if missing:
    raise InputError(
      'evaluation.mce_baseline',
      missing[0],
      'error rates under all corruptions that are evaluated',
      message=f'`evaluation.mce_baseline` has no results for {missing[0]}.',
    )


def _ratios(kinds, errors, baseline, clean, baseline_clean):
  """Returns each type's ratio of the sums over severities, if defined."""
  found = {}
  for kind, shifts in kinds.items():
    below = sum(baseline[shift] - baseline_clean for shift in shifts)
    if below > 0:
      found[kind] = sum(errors[shift] - clean for shift in shifts) / below
  return found
