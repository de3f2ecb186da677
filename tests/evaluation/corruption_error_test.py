"""Tests of the mean corruption error (mCE) against values computed by hand."""

from uncertainty_distill import evaluation, metrics
from uncertainty_distill.data import corruptions

import pytest
from refusals import refused

_CLEAN = corruptions.CLEAN
_FOG = [corruptions.Shift(corruptions.Corruption.FOG, s) for s in (1, 3)]
_SNOW = [corruptions.Shift(corruptions.Corruption.SNOW, s) for s in (1, 3)]
_SHIFTS = [_CLEAN, *_FOG, *_SNOW]
# These error rates stand for those of AlexNet.
_BASELINE = dict(zip(_SHIFTS, [0.2, 0.3, 0.5, 0.4, 0.4]))


def _result(shift, accuracy, seed):
  values = dict.fromkeys(metrics.METRICS, accuracy)
  return evaluation.Result('net', seed, shift, 10, values, (), (), ())


def test_by_hand():
  errors = dict(zip(_SHIFTS, [0.1, 0.2, 0.2, 0.3, 0.3]))
  found = evaluation.corruption_errors(errors, _BASELINE)
  # The ratios are 0.4 / 0.8 and 0.6 / 0.8. With the clean errors subtracted,
  # they are 0.2 / 0.4 and 0.4 / 0.4.
  assert found == pytest.approx(
    {'fog': 0.5, 'snow': 0.75, 'mce': 0.625, 'relative_mce': 0.75}
  )


def test_a_baseline_has_1_by_itself():
  found = evaluation.corruption_errors(_BASELINE, _BASELINE)
  assert found == dict.fromkeys(('snow', 'fog', 'mce', 'relative_mce'), 1.0)


def test_some_severities_and_no_clean_images():
  found = evaluation.corruption_errors({_FOG[1]: 0.25}, _BASELINE)
  assert found == {'fog': 0.5, 'mce': 0.5}


def test_error_rates_are_means_over_seeds():
  results = [
    _result(shift, accuracy, seed)
    for seed, values in enumerate([(0.9, 0.5), (0.7, 0.6)])
    for shift, accuracy in zip((_CLEAN, _FOG[0]), values)
  ]
  assert evaluation.error_rates(results) == pytest.approx(
    {_CLEAN: 0.2, _FOG[0]: 0.45}
  )


def test_where_a_baseline_makes_no_errors():
  found = evaluation.corruption_errors(
    dict.fromkeys(_SHIFTS, 0.1), {**_BASELINE, _FOG[0]: 0.0, _FOG[1]: 0.0}
  )
  assert found == pytest.approx({'snow': 0.25})
  # This baseline makes no more errors under corruption than on clean images.
  found = evaluation.corruption_errors(
    dict.fromkeys(_SHIFTS, 0.1), dict.fromkeys(_SHIFTS, 0.2)
  )
  assert found == pytest.approx({'fog': 0.5, 'snow': 0.5, 'mce': 0.5})
  assert evaluation.corruption_errors({_CLEAN: 0.1}, {_CLEAN: 0.0}) == {}


def test_a_baseline_that_lacks_a_corruption():
  with refused('evaluation.mce_baseline', 'snow/3', 'all corruptions'):
    evaluation.corruption_errors(
      _BASELINE, {k: v for k, v in _BASELINE.items() if k != _SNOW[1]}
    )
