"""Tests of the report's files."""

import dataclasses
import json
import pathlib
import re

from uncertainty_distill import metrics
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.metrics import ranking
from uncertainty_distill.reports import pictures, report, tables

import html_reader
import numpy as np
import pytest
from matplotlib import image as mpl_image

_NOISE = corruptions.Corruption.SHOT_NOISE


def _result(model, seed, nll, severity=0):
  """Returns a record of a model that is right 9 times out of 10."""
  values = dict.fromkeys(metrics.METRICS, 0.9) | {'nll': nll}
  shift = corruptions.Shift(_NOISE if severity else None, severity)
  return results_lib.Result(
    model,
    seed,
    shift,
    10,
    values,
    bin_count=[0.0, 10.0],
    bin_confidence=[0.0, 8.0],
    bin_correct=[0.0, 9.0],
    images='stored' if severity else '',
  )


_CLEAN = [_result('deep_ensemble', None, 0.25), _result('student', 0, 0.5)]
_CORRUPTED = [
  _result(model, seed, nll, severity)
  for model, seed in (('deep_ensemble', None), ('student', 0))
  for severity, nll in ((1, 0.5), (5, 1.5))
]
_PICTURES = [
  f'plots/{name}.png'
  for name in (
    'reliability',
    'reliability_severity_5',
    'severity_boxes',
    'severity',
    'diversity',
    'heat_map_accuracy',
    'heat_map_ece',
    'heat_map_nll',
  )
]
_MADE = {'Machine': '2 cores', 'Commands': ['train.py', 'evaluate.py | tee']}


def _write(folder, results):
  path = report.write_report(folder, 'Digits', results, _MADE)
  return pathlib.Path(path)


def test_report_sets_the_best_in_bold(tmp_path):
  results = _CLEAN[:1] + [
    _result(model, seed, nll + seed / 1000)
    for model, nll in (('student', 0.5), ('other', 0.7))
    for seed in range(3)
  ]
  text = _write(tmp_path, results).read_text(encoding='utf-8')
  assert '**0.501 ± 0.001**' in text and ' 0.701 ± 0.001   |' in text
  assert '**Bold**: the best mean' in text
  assert '**0.250' not in text
  text = _write(tmp_path, _CLEAN).read_text(encoding='utf-8')
  assert '**Bold**' not in text and '| **' not in text


def test_report_is_complete_and_written_again_the_same(tmp_path):
  results = _CLEAN + _CORRUPTED
  path = _write(tmp_path / 'new' / 'report', results)
  folder = path.parent
  files = {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}
  assert {str(p.relative_to(folder)) for p in files} == {
    'report.html',
    'report.md',
    'results.csv',
    'results.json',
    'summary.json',
    *_PICTURES,
  }
  text = path.read_text(encoding='utf-8')
  assert text.startswith('# Digits\n\n| Model ')
  links = re.findall(r'!\[.*\]\((.*)\)', text)
  assert links == _PICTURES
  for link in links:
    assert mpl_image.imread(folder / link)[..., :3].std() > 0.05
  assert '\n**Machine**: 2 cores\n' in text
  assert '\n```\ntrain.py\nevaluate.py | tee\n```\n' in text

  read, metadata = results_lib.read_json(folder / 'results.json')
  assert read == results
  assert metadata == {
    'title': 'Digits',
    'corrupted_images': ['stored'],
    'how_it_was_made': _MADE,
  }
  summary = json.loads((folder / 'summary.json').read_text())
  assert summary['student']['c_nll'] == {'mean': 1.0, 'std': None}

  assert _write(folder, results) == path
  assert files == {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_report_without_corruptions_shows_no_curves(tmp_path):
  text = _write(tmp_path, _CLEAN).read_text(encoding='utf-8')
  assert 'severity.png' not in text
  assert not (tmp_path / 'plots' / 'severity.png').exists()


def test_risk_is_drawn_against_coverage(tmp_path):
  def of(severity, seed, risk):
    risks = [risk] * len(ranking.COVERAGES)
    result = _result('student', seed, 0.5, severity)
    return dataclasses.replace(result, risks=risks)

  clean = [of(0, 0, 0.125), of(0, 1, 0.375)]
  results = [*clean, of(1, 0, 0.5), of(5, 0, 0.75), _CLEAN[0]]
  (picture,) = (
    p for p in pictures.available_pictures(results) if p.name == 'risk_coverage'
  )
  for ax, risk in zip(picture.draw().axes, [0.25, 0.75], strict=True):
    (line,) = ax.lines
    assert set(line.get_ydata()) == {risk}
    assert list(line.get_xdata()) == list(ranking.COVERAGES)
  text = _write(tmp_path, results).read_text(encoding='utf-8')
  assert 'plots/risk_coverage.png' in text


def test_report_names_seeds_and_warns_of_unequal_corruptions(tmp_path):
  results = _CLEAN + _CORRUPTED + [_result('student', 1, 0.7)]
  text = _write(tmp_path, results).read_text(encoding='utf-8')
  assert 'over seeds: Student (0, 1).' in text
  assert ': 3 for Deep ensemble, Student; 1 for Student.' in text


def test_more_metrics_stand_below_the_table(tmp_path):
  results = _CLEAN + _CORRUPTED
  text = _write(tmp_path, results).read_text(encoding='utf-8')
  cells = {}
  for section in 'More metrics', 'Answers to the surest', 'Out-of-distribution':
    table = text.split(f'## {section}')[1].split('\n\n')[1]
    heading, _, row = table.split('\n')[:3]
    headings, values = (
      [cell.strip() for cell in line.split('|')[1:-1]]
      for line in (heading, row)
    )
    cells |= dict(zip(headings, values, strict=True))
  assert cells['Adaptive ECE ↓'] == '0.900'
  assert cells['AURC × 10³ ↓'] == cells['c-AURC × 10³ ↓'] == '900.000'
  assert cells['AUROC OOD ↑'] == '0.900'
  assert 'c-AUROC OOD ↑' not in cells


def _without(results, *prefixes, of_model=None):
  """Returns results without metrics of these prefixes, of one model or all."""
  return [
    result
    if of_model not in (None, result.model)
    else dataclasses.replace(
      result,
      images='',
      metrics={
        name: value
        for name, value in result.metrics.items()
        if not name.startswith(prefixes)
      },
    )
    for result in results
  ]


_DIVERSITY = ('disagreement', 'pairwise', 'mutual', 'masegosa')


def test_diversity_is_of_ensembles(tmp_path):
  results = _without(_CLEAN + _CORRUPTED, *_DIVERSITY, of_model='student')
  text = _write(tmp_path, results).read_text(encoding='utf-8')
  section = text.split('\n## Diversity\n')[1].split('\n##')[0]
  heading, _, *rows = section.strip().split('\n\n')[0].split('\n')
  headings, values = (
    [cell.strip() for cell in line.split('|')[1:-1]]
    for line in (heading, *rows)
  )
  cells = dict(zip(headings, values, strict=True))
  assert cells == {
    'Model': 'Deep ensemble',
    **dict.fromkeys(('Disagreement', 'c-Disagreement'), '0.900'),
    **dict.fromkeys(('Mutual information', 'c-Mutual information'), '0.900'),
    **dict.fromkeys(('Pairwise KL', 'c-Pairwise KL'), '0.900'),
    **dict.fromkeys(('Variance × 10³', 'c-Variance × 10³'), '900.000'),
  }
  explained = re.findall(r'- \*\*(.*)\*\*:', section)
  assert explained == [*headings[1:5], 'c-']


def test_picture_of_diversity_leaves_single_networks_out():
  results = _without(_CLEAN + _CORRUPTED, *_DIVERSITY, of_model='deep_ensemble')
  drawn = {p.name: p.draw() for p in pictures.available_pictures(results)}
  titles = [ax.get_title() for ax in drawn['diversity'].axes]
  assert titles == ['Disagreement', 'Mutual information']
  for ax in drawn['diversity'].axes:
    (line,) = ax.lines
    assert line.get_label() == 'Student'
    np.testing.assert_allclose(line.get_ydata(), [0.9] * 3)
    # The color is the same in pictures that show both models.
    assert line.get_color() == drawn['severity'].axes[0].lines[1].get_color()
  others = pictures.available_pictures(_without(results, *_DIVERSITY))
  assert 'diversity' not in {picture.name for picture in others}


def test_report_of_results_without_the_ranking_metrics(tmp_path):
  """Older versions wrote results without these metrics."""
  older = _without(_CLEAN + _CORRUPTED, 'au', 'adaptive', *_DIVERSITY)
  text = _write(tmp_path, older).read_text(encoding='utf-8')
  assert 'Brier ↓' in text and 'AUROC errors' not in text
  assert 'iversity' not in text
  assert not (tmp_path / 'plots' / 'diversity.png').exists()


_HOSTILE = '</title><script>alert(1)</script> | ![x](https://example.org/x.png)'


def test_page_has_the_values_of_the_summary_and_every_picture(tmp_path):
  results = (
    _CLEAN[:1]
    + _CORRUPTED
    + [_result('student', seed, nll) for seed, nll in ((0, 0.5), (1, 0.7))]
  )
  path = _write(tmp_path, results)
  got = html_reader.read(path.with_name('report.html'))
  summary = json.loads((tmp_path / 'summary.json').read_text())
  names = {metrics.metric_spec(name).column: name for name in tables.COLUMNS}
  head, *rows = got.tables[0]
  for row, (label, values) in zip(rows, summary.items(), strict=True):
    cells = dict(zip(head, row, strict=True))
    assert cells.pop('Model').lower() == label.replace('_', ' ')
    assert len(cells) == 7
    for heading, cell in cells.items():
      value = values.get(names[heading])
      if value is None:
        assert cell == '-'
        continue
      mean, *spread = map(float, cell.split(' ± '))
      assert mean == pytest.approx(value['mean'], abs=5.1e-4)
      want = [] if value['std'] is None else [value['std']]
      assert spread == pytest.approx(want, abs=5.1e-4)
  assert len(got.pictures) == len(_PICTURES)
  assert '2 cores' in got.text and 'train.py\nevaluate.py | tee' in got.text


def test_nothing_in_a_label_or_a_command_becomes_markup(tmp_path):
  results = [dataclasses.replace(_CLEAN[0], model=_HOSTILE), _CLEAN[1]]
  made = {'Machine': _HOSTILE, 'Command': ['```', _HOSTILE]}
  report.write_report(tmp_path, _HOSTILE, results, made)
  got = html_reader.read(tmp_path / 'report.html')
  assert got.headings[0] == (1, _HOSTILE)
  assert got.tables[0][1][0] == _HOSTILE
  assert f'Machine: {_HOSTILE}\n' in got.text
  assert f'```\n{_HOSTILE}' in got.text
  assert len(got.pictures) == 1


def test_what_the_paper_reports_stands_beside(tmp_path):
  published = {'student': {'nll': (0.25, 0.125)}, 'other': {'nll': (1, 1)}}
  report.write_report(
    tmp_path, 'A', _CLEAN, _MADE, report.Additions(published=published)
  )
  got = html_reader.read(tmp_path / 'report.html')
  assert (2, 'Beside the paper') in got.headings
  assert got.tables[1][1:] == [
    ['NLL ↓', 'Student', '0.500', '0.250 ± 0.125', '-']
  ]


def test_report_lists_what_each_member_is_right_about(tmp_path):
  of_members = [
    dataclasses.replace(result, member_accuracies=accuracies)
    for result, accuracies in zip(_CLEAN, [(0.875, 0.5), (0.25,)])
  ]
  text = _write(tmp_path, of_members).read_text()
  rows = re.findall(r'^\| (.*?) +\| ([\d., ]+?) +\|$', text, re.MULTILINE)
  # A single member is not listed: its accuracy is the model's.
  assert ('Deep ensemble', '0.875, 0.500') in rows
  assert '0.250' not in text.split('## Members')[1]
  (first, _), _ = results_lib.read_json(tmp_path / 'results.json')
  assert first.member_accuracies == (0.875, 0.5)
