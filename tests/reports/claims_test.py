"""Tests of claims about systems, against SciPy and values found by hand."""

import dataclasses
import math

from uncertainty_distill import evaluation
from uncertainty_distill.data import corruptions
from uncertainty_distill.reports import claims

import numpy as np
import pytest
from scipy import stats

# The NLL of two systems with four seeds each, and of a teacher.
_STUDENT = [0.90, 0.93, 0.91, 0.94]
_BATCH_ENSEMBLE = [1.10, 1.05, 1.12, 1.08]
_TEACHER = 0.92
_OTHERS = dict.fromkeys(('ece', 'gibbs_nll', 'brier', 'member_accuracy'), 0.5)


def _results(values):
  return [
    evaluation.Result(
      model,
      seed,
      corruptions.CLEAN,
      100,
      {**_OTHERS, 'nll': nll, 'accuracy': 1 - nll / 2},
      *np.zeros([3, 15]),
    )
    for model, seeds in values.items()
    for seed, nll in seeds.items()
  ]


_RESULTS = _results(
  {
    'teacher': {None: _TEACHER},
    'student': dict(enumerate(_STUDENT)),
    'batch_ensemble': dict(enumerate(_BATCH_ENSEMBLE)),
  }
)


def _claim(kind, other='batch_ensemble', metrics=('nll',), **margins):
  metrics = () if margins else metrics
  return claims.Claim(kind, kind, kind, 'student', other, metrics, margins)


def test_better_is_the_paired_t_test():
  [finding] = claims.decide([_claim('better')], _RESULTS)
  test = stats.ttest_rel(_STUDENT, _BATCH_ENSEMBLE)
  interval = test.confidence_interval(0.95)
  assert finding.p_value == pytest.approx(test.pvalue)
  assert finding.difference == pytest.approx(np.mean(_STUDENT) - 1.0875)
  assert finding.interval == pytest.approx((interval.low, interval.high))
  assert finding.verdict == claims.HOLDS
  # A higher accuracy is better.
  [finding] = claims.decide([_claim('better', metrics=['accuracy'])], _RESULTS)
  assert finding.difference > 0 and finding.verdict == claims.HOLDS
  swapped = claims.Claim(
    'c', '', 'better', 'batch_ensemble', 'student', ('nll',)
  )
  assert claims.decide([swapped], _RESULTS)[0].verdict == claims.FAILS
  [finding] = claims.decide([_claim('better', 'teacher')], _RESULTS)
  assert finding.p_value == pytest.approx(
    stats.ttest_1samp(_STUDENT, _TEACHER).pvalue
  )
  assert finding.verdict == claims.UNDECIDED


def test_equal_is_two_tests_against_the_margin():
  [finding] = claims.decide([_claim('equal', 'teacher', nll=0.03)], _RESULTS)
  p = [
    stats.ttest_1samp(_STUDENT, _TEACHER - 0.03, alternative='greater').pvalue,
    stats.ttest_1samp(_STUDENT, _TEACHER + 0.03, alternative='less').pvalue,
  ]
  assert finding.p_value == pytest.approx(max(p)) and max(p) < 0.05
  assert finding.verdict == claims.HOLDS
  for margin, verdict in (0.01, claims.UNDECIDED), (0.1, claims.HOLDS):
    [finding] = claims.decide(
      [_claim('equal', 'teacher', nll=margin)], _RESULTS
    )
    assert finding.verdict == verdict
  [finding] = claims.decide([_claim('equal', nll=0.05)], _RESULTS)
  assert finding.verdict == claims.FAILS


def test_not_worse_is_one_sided():
  [finding] = claims.decide([_claim('not_worse', nll=0.01)], _RESULTS)
  assert finding.verdict == claims.HOLDS
  expected = stats.ttest_rel(
    _STUDENT, np.array(_BATCH_ENSEMBLE) + 0.01, alternative='less'
  ).pvalue
  assert finding.p_value == pytest.approx(expected)
  worse = claims.Claim(
    'w', '', 'not_worse', 'batch_ensemble', 'student', (), {'nll': 0.05}
  )
  [finding] = claims.decide([worse], _RESULTS)
  assert finding.verdict == claims.FAILS
  against = stats.ttest_rel(
    np.array(_BATCH_ENSEMBLE) - 0.05, _STUDENT, alternative='greater'
  ).pvalue
  assert finding.p_against == pytest.approx(against)
  # The p-value against a claim is corrected for the number of claims, too.
  many = claims.decide([worse] * 20, _RESULTS)
  assert many[0].p_against == pytest.approx(20 * against)
  assert many[0].verdict == claims.UNDECIDED


def test_p_values_are_corrected_for_their_number():
  # By hand: 0.01 x 3, 0.02 x 2, and 0.03, which may not be less than 0.04.
  assert claims.holm([0.03, 0.01, math.nan, 0.02]) == pytest.approx(
    [0.04, 0.03, math.nan, 0.04], nan_ok=True
  )
  many = [_claim('better')] * 40
  alone, corrected = (
    claims.decide(given, _RESULTS)[0].p_value for given in (many[:1], many)
  )
  assert corrected == pytest.approx(40 * alone)


def test_one_seed_decides_nothing():
  few = [r for r in _RESULTS if r.seed in (None, 0)]
  found = claims.decide([_claim('better'), _claim('equal', nll=0.1)], few)
  assert [finding.verdict for finding in found] == [claims.UNDECIDED] * 2
  assert found[0].difference == pytest.approx(0.90 - 1.10)
  assert 'nan' not in claims.claims_table(found)
  assert claims.overall(found) == claims.UNDECIDED
  broken = _results({'student': {0: 1.0, 1: math.nan}, 'b': {0: 2.0, 1: 2.0}})
  [finding] = claims.decide([_claim('better', 'b')], broken)
  assert finding.verdict == claims.UNDECIDED and math.isnan(finding.difference)
  # Differences without spread, except from rounding, decide nothing either.
  same = _results({'student': {0: 0.91, 1: 0.93}, 'b': {0: 0.90, 1: 0.92}})
  for other in 'b', 'student':
    [finding] = claims.decide([_claim('better', other)], same)
    assert math.isnan(finding.p_value) and finding.pairs == 2
    assert finding.verdict == claims.UNDECIDED
  infinite = {'student': {0: math.inf, 1: 1.0}, 'b': {0: 1.0, 1: math.inf}}
  [finding] = claims.decide([_claim('better', 'b')], _results(infinite))
  assert math.isnan(finding.difference)


def test_the_table_has_a_row_for_each_metric():
  found = claims.decide(
    [_claim('better', metrics=('nll', 'accuracy')), _claim('equal', nll=0.05)],
    _RESULTS,
  )
  head, _, *rows = claims.claims_table(found).split('\n')
  cells = [[c.strip() for c in row.split('|')[1:-1]] for row in rows]
  assert [row[2] for row in cells] == ['holds', 'holds', 'does not hold']
  assert cells[0][0] == 'better: **holds**' and not cells[1][0]
  assert cells[0][3].startswith('-0.168 (') and cells[0][6] == '4'
  # The margin of a claim that does not hold, and the p of that verdict.
  assert [row[4] for row in cells] == ['-', '-', '±0.050']
  assert cells[2][5] == f'{found[2].p_against:.3f}' != '1.000'
  # The values are in thousandths, the unit in their heading.
  scaled = dataclasses.replace(
    found[0], metric='aurc', difference=0.002, interval=(0.001, 0.003)
  )
  row = claims.claims_table([scaled]).split('\n')[-1]
  assert '+2.000 (+1.000 to +3.000)' in row


def test_differences_from_one_system():
  near = dict(enumerate(np.array(_BATCH_ENSEMBLE) + [0.01, -0.02, 0.02, 0]))
  results = _RESULTS + _results({'near': near, 'alone': {7: 1.0}})
  labels = ['teacher', 'student', 'batch_ensemble', 'near', 'alone']
  head, _, *rows = claims.differences_table(
    labels, 'batch_ensemble', results
  ).split('\n')
  cells = [[c.strip() for c in row.split('|')[1:-1]] for row in (head, *rows)]
  assert cells[0] == ['Model', 'Accuracy ↑', 'ECE ↓', 'NLL ↓']
  assert [row[0] for row in cells[1:]] == [
    'Teacher',
    'Student',
    'Near',
    'Alone',
  ]
  # One teacher is compared with every seed, and three systems have pairs.
  values = _BATCH_ENSEMBLE
  p_values = [stats.ttest_1samp(np.array(values) - _TEACHER, 0).pvalue]
  for other in (_STUDENT, list(near.values())):
    p_values.append(stats.ttest_rel(other, values).pvalue)
  assert max(3 * min(p_values), 2 * sorted(p_values)[1]) <= 0.05 < p_values[2]
  low, high = stats.ttest_rel(_STUDENT, values).confidence_interval(0.95)
  assert cells[1][3].startswith('**-0.168 (')
  assert cells[2][3] == f'**-0.168 ({low:+.3f} to {high:+.3f})**'
  assert cells[3][3].startswith('+0.003 (') and cells[4][3] == '-'
  # All have one ECE, so no test is possible.
  assert cells[1][2] == '+0.000'
