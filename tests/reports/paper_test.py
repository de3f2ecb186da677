"""Tests of the paper's tables and of comparisons with measurements."""

import math

from uncertainty_distill import reports

import pytest

_FIGURES = {'accuracy', 'ece', 'nll', 'c_accuracy', 'c_ece', 'c_nll'}


def test_every_row_of_the_five_tables_is_there():
  tables = reports.load_paper_tables()
  assert {
    dataset: {name: len(table.rows) for name, table in of.items()}
    for dataset, of in tables.items()
  } == {
    'cifar10': {'table_1': 7, 'table_3': 2},
    'cifar100': {'table_2': 5, 'table_4': 2, 'table_5': 6},
  }
  for of in tables.values():
    for table in of.values():
      for label, row in table.rows.items():
        assert row.keys() == _FIGURES
        assert all(
          (s is None) == (label == 'deep_ensemble') for _, s in row.values()
        )


def test_rows_of_one_dataset():
  rows = reports.paper_rows('cifar10')
  assert list(rows) == [
    'deep_ensemble',
    'batch_ensemble',
    'lone_student',
    'initialized_batch_ensemble',
    'initialized_knowledge_student',
    'head_student',
    'knowledge_student',
    'hyper_head_student',
    'hyper_knowledge_student',
  ]
  assert rows['initialized_batch_ensemble']['accuracy'] == (0.448, 0.367)
  assert rows['initialized_knowledge_student']['nll'] == (0.844, 0.422)
  assert rows['head_student']['c_nll'] == (0.911, 0.044)
  assert rows['deep_ensemble']['nll'] == (0.155, None)
  rows = reports.paper_rows('cifar100', ['table_5'])
  assert list(rows) == [
    f'tied_{kind}_{strength}'
    for strength in ('0_01', '0_1', '1')
    for kind in ('head', 'knowledge')
  ]
  assert rows['tied_head_0_1']['c_nll'] == (2.361, 0.052)


_PAPER = {
  'deep_ensemble': {'nll': (0.3, None), 'ece': (0.09, None)},
  'a': {'nll': (0.4, 0.04), 'ece': (0.02, 0.01)},
  'b': {'nll': (0.5, 0.04), 'ece': (0.03, 0.01)},
  'only_there': {'nll': (0.1, 0.1)},
}


def test_comparison():
  text = reports.compare(
    {
      'only_here': {'nll': (0.1, 0.1)},
      'a': {'nll': (0.5, 0.03), 'ece': (0.02, None), 'brier': (0.1, 0.1)},
      'deep_ensemble': {'nll': (0.2, None), 'gibbs_nll': (0.28, None)},
      'b': {'nll': (math.nan, math.nan), 'ece': (0.0035, 0.0)},
    },
    _PAPER,
  )
  table, notes = text.split('\n\n')
  # a's NLL: (0.5 - 0.4) / sqrt(0.03^2 + 0.04^2) = 2.
  assert table == '\n'.join(
    [
      '| Metric | Model                     |      Measured |         Paper '
      '| Difference |',
      '| ------ | ------------------------- | ------------: | ------------: '
      '| ---------: |',
      '| ECE ↓  | A                         |         0.020 | 0.020 ± 0.010 '
      '|          - |',
      '|        | B                         | 0.004 ± 0.000 | 0.030 ± 0.010 '
      '|       -2.6 |',
      '| NLL ↓  | A                         | 0.500 ± 0.030 | 0.400 ± 0.040 '
      '|       +2.0 |',
      '|        | Deep ensemble             |         0.200 |         0.300 '
      '|          - |',
      '|        | Deep ensemble (Gibbs NLL) |         0.280 |         0.300 '
      '|          - |',
      '|        | B                         |     nan ± nan | 0.500 ± 0.040 '
      '|          - |',
    ]
  )
  assert '**Difference**' in notes and '**Gibbs NLL**' in notes
  assert max(map(len, text.split('\n'))) <= 100


def test_nothing_to_compare():
  assert reports.compare({'other': {'nll': (0.1, None)}}, _PAPER) == ''
  assert reports.orderings({'a': {'nll': (0.1, None)}}, _PAPER) == []
  assert reports.describe_orderings([]) == ''


def _verdicts(measured, paper=None):
  return {
    (pair.metric, pair.better, pair.worse): pair.verdict
    for pair in reports.orderings(measured, paper or _PAPER)
  }


def test_orderings_that_the_paper_decides():
  measured = {
    'deep_ensemble': {'nll': (0.6, None), 'gibbs_nll': (0.05, None)},
    'b': {'nll': (0.5, 0.03)},
    'a': {'nll': (0.45, 0.04)},
  }
  gibbs = 'Deep ensemble (Gibbs NLL)'
  assert _verdicts(measured) == {
    ('nll', 'deep_ensemble', 'b'): 'disagrees',
    ('nll', 'deep_ensemble', 'a'): 'disagrees',
    ('nll', gibbs, 'b'): 'agrees',
    ('nll', gibbs, 'a'): 'agrees',
    # Measured: 0.05 apart, with a spread of sqrt(0.03^2 + 0.04^2) = 0.05. In
    # the paper: 0.1 apart, with a spread of 0.057.
    ('nll', 'a', 'b'): 'undecided',
  }
  measured['b']['nll'] = (0.501, 0.03)
  assert _verdicts(measured)['nll', 'a', 'b'] == 'agrees'
  measured['b']['nll'] = (0.399, 0.03)
  assert _verdicts(measured)['nll', 'a', 'b'] == 'disagrees'


def test_accuracy_is_better_where_it_is_higher():
  paper = {'a': {'accuracy': (0.9, 0.01)}, 'b': {'accuracy': (0.8, 0.01)}}
  assert _verdicts(
    {'b': {'accuracy': (0.5, 0.01)}, 'a': {'accuracy': (0.6, None)}}, paper
  ) == {('accuracy', 'a', 'b'): 'agrees'}


@pytest.mark.parametrize('nll', [(0.9, None), (math.nan, 0.1), (0.9, math.nan)])
def test_undecided_without_a_spread_or_a_number(nll):
  measured = {'a': {'nll': (0.1, None)}, 'b': {'nll': nll}}
  assert _verdicts(measured) == {('nll', 'a', 'b'): 'undecided'}


def test_paper_figures_as_far_apart_as_their_deviation_do_not_differ():
  # 0.963 - 0.962 is 0.0010000000000000009.
  paper = {'a': {'accuracy': (0.963, 0.001)}, 'b': {'accuracy': (0.962, None)}}
  measured = {'a': {'accuracy': (1, 0)}, 'b': {'accuracy': (0.5, 0)}}
  assert _verdicts(measured, paper) == {}


def test_orderings_in_markdown():
  rows = reports.paper_rows('cifar10', ['table_1'])
  found = reports.orderings(rows, rows)
  assert {pair.verdict for pair in found} == {'agrees'}
  ece = [(p.better, p.worse) for p in found if p.metric == 'ece']
  assert ('head_student', 'lone_student') in ece
  # 0.016 and 0.017, each ± 0.001.
  assert ('head_student', 'knowledge_student') not in ece
  text = reports.describe_orderings(found)
  assert f'| ECE ↓            | {len(ece):6} |         0 |         0 |' in text
  lists = text.split('**ECE ↓**\n\n')[1].split('\n\n')[0]
  assert lists.replace('\n ', '').startswith(
    '- agrees: Deep ensemble over Batch ensemble, Lone student, Head student,'
    ' Knowledge student; '
  )
  assert max(map(len, text.split('\n'))) <= 100
