"""Executes docs/pictures.ipynb: from a folder of pictures to a served model."""

import pathlib

import nbformat
import notebooks
import pytest

_NOTEBOOK = (
  pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'pictures.ipynb'
)

# What the text of the notebook promises.
_CHECKS = """
teacher, student = scores['teacher'], scores['student']
assert teacher['accuracy'] > 0.85
assert student['accuracy'] > teacher['accuracy'] - 0.03
assert names.count('seven') > 0.8 * len(paths)
model = ud.load('runs/served')
assert model.ensemble_size == 3
assert sorted(model.class_names) == sorted(NAMES)
modes = {Image.open(path).mode for path in pathlib.Path().glob('pictures/*/*')}
assert len(modes) == 6, modes
"""


def test_the_cells_are_short():
  notebook = nbformat.read(_NOTEBOOK, as_version=4)
  nbformat.validate(notebook)
  for cell in notebook.cells:
    if cell.cell_type == 'code':
      assert max(map(len, cell.source.splitlines())) <= 80


@pytest.mark.slow
def test_it_runs_and_the_student_keeps_up(tmp_path, monkeypatch):
  for name in 'IPYTHONDIR', 'JUPYTER_CONFIG_DIR', 'JUPYTER_RUNTIME_DIR':
    monkeypatch.setenv(name, str(tmp_path / name))
  folder = tmp_path / 'work'
  folder.mkdir()
  notebooks.execute(_NOTEBOOK, folder, _CHECKS)
