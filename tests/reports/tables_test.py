"""Tests of the text of tables."""

from uncertainty_distill import evaluation
from uncertainty_distill.reports import tables

import pytest


def test_table():
  rows = {
    'deep_ensemble': {'accuracy': (0.9684, None), 'c_nll': (1.0151, None)},
    'student': {'accuracy': (0.96, 0.00125), 'nll': (12.3, None)},
  }
  assert tables.table(rows) == '\n'.join(
    [
      '| Model         |    Accuracy ↑ | ECE ↓ |  NLL ↓ | Gibbs NLL ↓ '
      '| c-Accuracy ↑ | c-ECE ↓ | c-NLL ↓ |',
      '| ------------- | ------------: | ----: | -----: | ----------: '
      '| -----------: | ------: | ------: |',
      '| Deep ensemble |         0.968 |     - |      - |           - '
      '|            - |       - |   1.015 |',
      '| Student       | 0.960 ± 0.001 |     - | 12.300 |           - '
      '|            - |       - |       - |',
    ]
  )


@pytest.mark.parametrize(
  'parameters, text',
  [(512, '512'), (78_330, '78.3k'), (999_950, '1.0M'), (36_479_194, '36.5M')],
)
def test_table_with_sizes(parameters, text):
  sizes = {'a': evaluation.ModelSize(members=4, parameters=parameters)}
  lines = tables.table({'a': {}, 'b': {}}, sizes).split('\n')
  cells = [[cell.strip() for cell in line.split('|')[1:4]] for line in lines]
  assert cells[0] == ['Model', 'Members', 'Parameters']
  assert cells[2:] == [['A', '4', text], ['B', '-', '-']]
  assert len(set(map(len, lines))) == 1


def test_a_narrow_column_of_numbers_is_one():
  # Markdown needs a hyphen beside the colon.
  text = tables.markdown_table(['Model', 'p'], [['a', '-']])
  assert text.split('\n') == [
    '| Model |  p |',
    '| ----- | -: |',
    '| a     |  - |',
  ]


def test_marked_cells_line_up():
  rows = {
    'a': {'nll': (0.5, 0.25), 'ece': (0.1, None)},
    'b': {'nll': (0.75, 0.25)},
    'c': {},
  }
  text = tables.table(rows, None, ['nll', 'ece'], {'nll': ['a'], 'ece': []})
  assert text == '\n'.join(
    [
      '| Model |             NLL ↓ | ECE ↓ |',
      '| ----- | ----------------: | ----: |',
      '| A     | **0.500 ± 0.250** | 0.100 |',
      '| B     |   0.750 ± 0.250   |     - |',
      '| C     |               -   |     - |',
    ]
  )
