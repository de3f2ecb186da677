"""Executes docs/tour.ipynb, and checks what it shows."""

import pathlib
import re
import socket

import uncertainty_distill as ud

import matplotlib
import nbformat
import notebooks
import pytest

_TOUR = pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'tour.ipynb'
_STUDENT = pathlib.Path(__file__).with_name('golden') / 'v0.1.0' / 'saved_model'

# What the text of the notebook says about its metrics.
_CHECKS = """
for name, values in drawn['Predictive entropy (nats)'].items():
  assert values[0] < 0.8 * max(values), name
assert right[entropy <= np.quantile(entropy, 0.5)].mean() > right.mean() + 0.05
assert compared['their student']['accuracy'] > 0.8
assert same.mean() > 0.8
assert metrics['c_nll'] > metrics['nll']
import os
assert sorted(os.listdir(FOLDER)) == ['networks.npz', 'own', 'student']
"""


def _kinds(notebook):
  """Returns the outputs of each code cell: names of streams, types of data."""
  return [
    [
      output.get('name') or ' '.join(sorted(output.get('data', output)))
      for output in cell.outputs
    ]
    for cell in notebook.cells
    if cell.cell_type == 'code'
  ]


@pytest.fixture(name='committed', scope='module')
def _committed():
  return nbformat.read(_TOUR, as_version=4)


def test_the_outputs_are_small_and_of_no_machine(committed):
  nbformat.validate(committed)
  assert _TOUR.stat().st_size < 200_000
  machine = re.escape(socket.gethostname())
  codes = [cell for cell in committed.cells if cell.cell_type == 'code']
  assert [c.execution_count for c in codes] == [*range(1, len(codes) + 1)]
  for cell in codes:
    assert max(map(len, cell.source.splitlines())) <= 80
    for output in cell.outputs:
      assert output.output_type != 'error' and output.get('name') != 'stderr'
      said = output.get('text', output.get('data', {}).get('text/plain', ''))
      assert not re.search(rf'(?<![\w.])/\w+/|\b{machine}\b', said), said


def test_what_needs_no_training_runs_here(committed, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  load = ud.load_dataset
  monkeypatch.setattr(ud, 'load_dataset', lambda *args: load(*args).take(70))
  cells = [c.source for c in committed.cells if c.cell_type == 'code']
  (end,) = (i for i, source in enumerate(cells) if 'sklearn' in source)
  cells[0] = cells[0].replace("STUDENT = ''", f'STUDENT = {str(_STUDENT)!r}')
  names = {}
  with matplotlib.rc_context({'backend': 'agg'}):
    for source in cells[:end]:
      exec(source, names)
    names['plt'].close('all')
  assert len(names['everything']) == 18
  assert list(tmp_path.rglob('*')) == [
    tmp_path / 'runs',
    tmp_path / 'runs/tour',
  ]


@pytest.mark.slow
def test_it_runs_and_shows_what_is_committed(committed, tmp_path, monkeypatch):
  # Nothing is written to the home folder or read from it.
  for name in 'IPYTHONDIR', 'JUPYTER_CONFIG_DIR', 'JUPYTER_RUNTIME_DIR':
    monkeypatch.setenv(name, str(tmp_path / name))
  folder = tmp_path / 'work'
  folder.mkdir()
  executed = notebooks.execute(_TOUR, folder, _CHECKS)
  assert _kinds(executed)[:-1] == _kinds(committed)
