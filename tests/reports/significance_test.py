"""Tests of which systems do not differ significantly from the best one."""

from uncertainty_distill import metrics
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.reports import significance

import numpy as np
import pytest
from scipy import optimize, special, stats

_BEST = [0.9, 1.0, 1.1]


def _p_value(one, other):
  """Welch's t-test from its formula: (m1 - m2) / sqrt(s1^2/n1 + s2^2/n2)."""
  a, b = (np.var(x, ddof=1) / len(x) for x in (one, other))
  t = (np.mean(one) - np.mean(other)) / np.sqrt(a + b)
  freedom = (a + b) ** 2 / (a**2 / (len(one) - 1) + b**2 / (len(other) - 1))
  return 2 * special.stdtr(freedom, -abs(t))


def _worse(p_value):
  """Returns values whose Welch's t-test against the best has this p-value."""
  sample = np.array([0.8, 0.95, 1.15, 1.1])
  away = optimize.brentq(
    lambda x: _p_value(sample + x, _BEST) - p_value, 0, 1e3
  )
  return list(sample + away)


@pytest.mark.parametrize('p_value', [0.3, 0.049, 0.051, 0.001])
def test_one_comparison_is_welchs_test(p_value):
  other = _worse(p_value)
  assert stats.ttest_ind(other, _BEST, equal_var=False).pvalue == pytest.approx(
    p_value
  )
  found = significance.not_told_from_best({'other': other, 'best': _BEST})
  assert found == (('best',) if p_value < 0.05 else ('other', 'best'))


@pytest.mark.parametrize(
  'p_values, told',
  [
    # The thresholds are 0.05/3, 0.05/2 and 0.05 for ascending p-values. In the
    # first case, Bonferroni's 0.05/3 for all would keep b and c. Without
    # correction, all of a, b and c would differ from the best in each case.
    ((0.016, 0.024, 0.049), 'abc'),
    ((0.049, 0.016, 0.024), 'abc'),
    ((0.016, 0.026, 0.049), 'a'),
    ((0.017, 0.018, 0.019), ''),
  ],
)
def test_holms_correction(p_values, told):
  samples = {'best': _BEST} | dict(zip('abc', map(_worse, p_values)))
  found = significance.not_told_from_best(samples)
  assert found == ('best', *(label for label in 'abc' if label not in told))


def test_the_best_may_be_the_largest():
  samples = {'a': [0.1, 0.11], 'b': [0.9, 0.91]}
  assert significance.not_told_from_best(samples) == ('a',)
  assert significance.not_told_from_best(samples, True) == ('b',)


@pytest.mark.filterwarnings('error')
def test_samples_without_spread():
  samples = {'a': [0.5, 0.5], 'b': [0.5, 0.5], 'c': [0.6, 0.6]}
  # As with claims, nothing is known about a third seed.
  assert significance.not_told_from_best(samples) == ('a', 'b', 'c')
  some = {**samples, 'd': [0.9, 0.901]}
  assert significance.not_told_from_best(some) == ('a', 'b', 'c')


def _results(model, nll, seeds=None, severity=0):
  """Returns one record per seed; the accuracy is 1 minus the NLL."""
  noise = corruptions.Corruption.SHOT_NOISE if severity else None
  return [
    results_lib.Result(
      model,
      seed,
      corruptions.Shift(noise, severity),
      1,
      dict.fromkeys(metrics.METRICS, value)
      | {'nll': value, 'accuracy': 1 - value},
      [1.0],
      [1.0],
      [1.0],
    )
    for seed, value in zip(seeds or range(len(nll)), nll)
  ]


def test_best_of_each_figure():
  results = [
    *_results('deep_ensemble', [0.01], [None]),  # One seed: left out.
    *_results('good', [0.100, 0.102, 0.101]),
    *_results('as_good', [0.1, 0.12, 0.11]),
    *_results('bad', [0.30, 0.31, 0.32]),
    *_results('diverged', [0.05, float('nan'), 0.05]),
    *_results('good', [0.9, 0.9, 0.9], severity=3),
  ]
  best = significance.best(results)
  assert best['nll'] == best['accuracy'] == ('good', 'as_good')
  # Only one system was evaluated on corrupted images.
  assert 'c_nll' not in best
  assert significance.best(results[:2]) == {}
