"""Tests of a study's report: its tables, its figures, the paper's numbers."""

import pathlib

from uncertainty_distill import evaluation, plots, reports, studies
from uncertainty_distill.data import corruptions
from uncertainty_distill.studies import study_report

import html_reader
import numpy as np
import yaml

_STUDY = {
  'title': 'Small',
  'experiment': 'digits_wrn10_1',
  'seeds': [0, 1],
  'systems': {
    'head_student': {'task': {'objective': {'kind': 'head'}}},
    'knowledge_student_of_3': {'task': {'model': {'ensemble_size': 3}}},
    'never_trained': {},
  },
  'tables': {
    'table_1': {
      'title': 'Table 1: small',
      'paper': ['cifar10.table_1'],
      'rows': [
        'head_student',
        'deep_ensemble',
        'head_student',
        'never_trained',
      ],
      'compared_with': ['deep_ensemble', 'never_trained'],
    },
    'table_2': {'title': 'Table 2: nothing', 'rows': ['never_trained']},
  },
  'claims': {
    'a': {
      'title': 'More members are as good',
      'kind': 'not_worse',
      'system': 'knowledge_student_of_3',
      'other': 'head_student',
      'margins': {'accuracy': 0.01},
    },
    'b': {
      'title': 'Nothing is better',
      'kind': 'better',
      'system': 'never_trained',
      'other': 'head_student',
      'metrics': ['accuracy'],
    },
  },
  'figures': {
    'figure_2': {
      'title': 'Figure 2: sizes',
      'kind': 'ensemble_size',
      'systems': ['head_student', 'knowledge_student_of_3'],
    },
    'figure_9': {
      'title': 'Figure 9: nothing',
      'kind': 'learning_curves',
      'systems': ['never_trained'],
    },
  },
}


def _result(model, seed, accuracy):
  metrics = dict.fromkeys(('ece', 'nll', 'gibbs_nll', 'brier'), 0.25)
  return evaluation.Result(
    model,
    seed,
    corruptions.CLEAN,
    100,
    {**metrics, 'accuracy': accuracy, 'member_accuracy': accuracy},
    *np.ones([3, 15]),
    member_accuracies=(accuracy, accuracy),
  )


def _write(path):
  """Writes a study's report; returns its sections and the text of study.md."""
  file = path / 'study.yaml'
  file.write_text(yaml.safe_dump(_STUDY, sort_keys=False))
  study = studies.read_study(str(file))
  results = [_result('deep_ensemble', None, 0.97)] + [
    _result(label, seed, 0.9 + seed / slope)
    for label, slope in (('head_student', 10), ('knowledge_student_of_3', 9.99))
    for seed in (0, 1)
  ]
  systems = [
    evaluation.System(r.model, r.seed, (f'{r.model}_{r.seed}',))
    for r in results
  ]
  reports.write_report(path, 'Small', results, {'Machine': '2 cores'})
  sections = study_report.write_study_report(study, str(path), systems)
  return sections, pathlib.Path(path, 'study.md').read_text()


def test_tables_stand_beside_the_papers(tmp_path):
  sections, text = _write(tmp_path)
  heading, table, comparison, *_, differences, _ = sections['table_1']
  assert heading == '## Table 1: small'
  labels = [line.split('|')[1].strip() for line in table.split('\n')[2:]]
  assert labels == ['Head student', 'Deep ensemble']
  assert '0.950 ± 0.071' in comparison and '0.963 ± 0.001' in comparison
  rows = [line.split('|')[1:3] for line in differences.split('\n')[2:]]
  assert [label.strip() for label, _ in rows] == ['Head student']
  assert rows[0][1].strip().startswith('-0.020 (')
  assert sections['table_2'] == []
  assert text.startswith('# Small\n')
  assert all(section in text for section in sections['table_1'])
  assert 'nothing' not in text


def test_claims_are_decided_where_there_are_results(tmp_path):
  _, text = _write(tmp_path)
  assert '## Claims' in text and 'More members are as good: **holds**' in text
  assert 'Nothing is better' not in text


def test_figures_are_drawn_of_what_there_is(tmp_path):
  _, text = _write(tmp_path)
  assert '## Figure 2: sizes\n\n![Figure 2: sizes](plots/figure_2.png)' in text
  assert (tmp_path / 'plots' / 'figure_2.png').stat().st_size > 5_000
  assert not (tmp_path / 'plots' / 'figure_9.png').exists()


def test_the_star_stands_at_the_teachers_own_size(tmp_path, monkeypatch):
  drawn = []
  monkeypatch.setattr(plots, 'save', lambda fig, path: drawn.append(fig))
  _write(tmp_path)
  (star,) = (
    line for line in drawn[-1].axes[0].lines if line.get_marker() == '*'
  )
  # The configuration has a teacher of four.
  assert list(star.get_xdata()) == [2]


def test_one_page_holds_the_study_and_the_report(tmp_path):
  _write(tmp_path)
  got = html_reader.read(tmp_path / 'report.html')
  assert [heading for heading in got.headings if heading[0] < 3] == [
    (1, 'Small'),
    (2, 'Claims'),
    (2, 'Table 1: small'),
    (2, 'Figure 2: sizes'),
    (2, 'Every system'),
  ]
  assert (3, 'How it was made') in got.headings
  assert got.links['Every system'] == '#report'
  assert len(got.pictures) == 2 and 'Figure 2: sizes' in got.pictures
  # A row of the study's table, and one of the comparison with the paper.
  assert ['Head student', '0.950 ± 0.071'] in [
    row[:2] for table in got.tables for row in table
  ]
  assert sum('0.963 ± 0.001' in row for t in got.tables for row in t) == 1
