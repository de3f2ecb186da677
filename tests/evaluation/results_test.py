"""Tests of results, their averages and their files."""

import csv
import dataclasses
import json
import math

from uncertainty_distill import errors, metrics
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.io import files
from uncertainty_distill.metrics import ranking

import numpy as np
import pytest

_NOISE = corruptions.Corruption.GAUSSIAN_NOISE
_BLUR = corruptions.Corruption.GAUSSIAN_BLUR


def _result(nll=0.0, corruption=None, severity=0, model='a', seed=0):
  """Returns a record whose other metrics follow from its NLL."""
  values = {name: nll / 10 for name in metrics.METRICS} | {'nll': nll}
  shift = corruptions.Shift(corruption, severity)
  bins = [1.0] * 15
  return results_lib.Result(model, seed, shift, 15, values, bins, bins, bins)


def test_what_older_records_lack_follows_from_their_bins():
  values = dict.fromkeys(metrics.METRICS, 0.5)
  for name in metrics.LATER:
    del values[name]
  bins = [2.0, 2.0], [0.7, 1.8], [1.0, 1.0]
  shift = corruptions.CLEAN
  result = results_lib.Result('a', 0, shift, 4, values, *bins)
  assert result.metrics['overconfidence'] == pytest.approx(0.8 / 4)
  assert result.metrics['underconfidence'] == pytest.approx(0.3 / 4)
  assert 'classwise_ece' not in result.metrics
  assert set(values) < set(result.metrics)


def test_summary_averages_types_then_severities():
  averages = aggregation.summary(
    [
      _result(0.5),
      _result(1.0, _NOISE, 1),
      _result(3.0, _BLUR, 1),
      _result(8.0, _NOISE, 5),
    ]
  )
  assert averages['nll'] == 0.5
  # This is ((1 + 3) / 2 + 8) / 2. An average over severities first would be
  # ((1 + 8) / 2 + 3) / 2 = 3.75; one over all at once, (1 + 3 + 8) / 3 = 4.
  assert averages['c_nll'] == pytest.approx(5.0)
  assert averages['c_ece'] == pytest.approx(0.5)
  assert len(averages) == 2 * len(metrics.METRICS)


def test_summary_leaves_out_what_was_not_measured():
  assert set(aggregation.summary([_result()])) == set(metrics.METRICS)
  corrupted = aggregation.summary([_result(1.0, _BLUR, 2)])
  assert set(corrupted) == {f'c_{name}' for name in metrics.METRICS}
  assert aggregation.summary([]) == {}


@pytest.mark.parametrize(
  'other', [{'model': 'b'}, {'seed': 1}, {'seed': None}, {}]
)
def test_summary_refuses_mixtures(other):
  with pytest.raises(errors.InputError):
    aggregation.summary([_result(), _result(**other)])


def test_aggregate_models_over_seeds():
  rows = aggregation.aggregate_models(
    [
      _result(4.0, model='teacher', seed=None),
      _result(1.0),
      _result(9.0, _BLUR, 1),
      _result(2.0, seed=1),
      _result(6.0, seed=2),
    ]
  )
  assert list(rows) == ['teacher', 'a']
  assert rows['teacher']['nll'] == (4.0, None)
  # The mean is 3, and the variance is (4 + 1 + 9) / (3 - 1).
  assert rows['a']['nll'] == pytest.approx((3.0, math.sqrt(7.0)))
  # Only one of the three seeds was evaluated on corrupted images.
  assert 'c_nll' not in rows['a']


def test_by_severity_averages_seeds():
  curves = aggregation.by_severity(
    [
      _result(8.0, _NOISE, 5),
      _result(1.0),
      _result(4.0, _BLUR, 5),
      _result(10.0, _NOISE, 5, seed=1),
      _result(2.0, seed=1),
    ],
    'nll',
  )
  assert list(curves.items()) == [(0, (1.5,)), (5, (9.0, 4.0))]


def test_json_round_trip(tmp_path):
  path = tmp_path / 'results.json'
  results = [
    _result(np.float32(0.1), seed=None),
    _result(float('inf'), _BLUR, 3),
  ]
  results_lib.write_json(results, path, {'versions': ['1.0']})
  assert results_lib.read_json(path) == (results, {'versions': ['1.0']})
  # The file is strict JSON, since other readers refuse `Infinity` and `NaN`.
  json.loads(path.read_text(), parse_constant=pytest.fail)
  assert list(tmp_path.iterdir()) == [path]


def test_json_keeps_nan(tmp_path):
  path = tmp_path / 'results.json'
  results_lib.write_json([_result(float('nan'))], path)
  (result,), _ = results_lib.read_json(path)
  assert math.isnan(result.metrics['nll'])


@pytest.mark.parametrize(
  'damage',
  [
    lambda text: None,
    lambda text: text[:-20],
    lambda text: '[1, 2]',
    lambda text: '{}',
    lambda text: text.replace('results.v1', 'results.v9'),
    lambda text: text.replace('"gaussian_blur"', '"rain"'),
    lambda text: text.replace('"severity": 2', '"severity": 0'),
    lambda text: text.replace('"nll": ', '"nil": '),
    lambda text: text.replace('"bin_count": [1.0, ', '"bin_count": ['),
    lambda text: text.replace('"bin_count": [1.0', '"bin_count": ["x"'),
  ],
  ids=[
    'missing',
    'cut short',
    'list',
    'empty',
    'format',
    'corruption',
    'severity',
    'figure',
    'bins',
    'text for a number',
  ],
)
def test_reading_a_wrong_file_says_which(tmp_path, damage):
  path = tmp_path / 'results.json'
  results_lib.write_json([_result(1.0, _BLUR, 2)], path)
  results_lib.read_json(path)
  text = damage(path.read_text())
  path.unlink()
  if text is not None:
    path.write_text(text)
  with pytest.raises(errors.InputError, match='results.json') as caught:
    results_lib.read_json(path)
  assert '\n' not in str(caught.value)


def test_csv_has_a_line_for_each_result(tmp_path):
  path = tmp_path / 'results.csv'
  results_lib.write_csv(
    [_result(0.1, seed=None), _result(2.0, _BLUR, 3, model='b,c')], path
  )
  with path.open(newline='') as lines:
    clean, blurred = csv.DictReader(lines)
  assert (clean['model'], clean['seed'], clean['corruption']) == (
    'a',
    '',
    'clean',
  )
  assert float(clean['nll']) == 0.1
  assert (blurred['model'], blurred['seed']) == ('b,c', '0')
  assert (blurred['corruption'], blurred['severity']) == ('gaussian_blur', '3')
  assert set(metrics.METRICS) < set(blurred)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / 'results.csv'
  path.write_text('old')

  def refuse(*_):
    raise OSError('disk full')

  monkeypatch.setattr(files._Disk, 'replace', staticmethod(refuse))
  with pytest.raises(OSError):
    results_lib.write_csv([_result()], path)
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
  'change',
  [{'metrics': {'nll': 1.0}}, {'bin_count': (1.0,)}, {'risks': (0.5,)}],
)
def test_records_are_whole(change):
  with pytest.raises(errors.InputError):
    dataclasses.replace(_result(), **change)


def test_files_of_older_versions_lack_members_and_risks(tmp_path):
  path, risks = tmp_path / 'r.json', [0.25] * len(ranking.COVERAGES)
  known = dataclasses.replace(
    _result(), member_accuracies=[0.5, 1], risks=risks
  )
  results_lib.write_json([known, _result()], path)
  content = json.loads(path.read_text())
  assert content['results'][0]['member_accuracies'] == [0.5, 1.0]
  assert content['results'][0]['risks'] == risks
  for name in 'member_accuracies', 'risks':
    assert name not in content['results'][1]
    del content['results'][0][name]
  path.write_text(json.dumps(content))
  assert results_lib.read_json(path)[0] == [_result(), _result()]
