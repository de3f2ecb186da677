r"""Executes notebooks in a kernel of their own, as Jupyter does.

  python tests/helpers/notebooks.py docs/tour.ipynb

executes one in an empty folder and writes it with its new outputs.
"""

import sys
import tempfile

import nbclient
import nbformat

# The same for whatever machine and version executes the notebook.
_METADATA = {
  'kernelspec': {
    'display_name': 'Python 3',
    'language': 'python',
    'name': 'python3',
  },
  'language_info': {'name': 'python'},
}


def execute(path, folder, checks=''):
  """Executes a notebook; returns it with its new outputs except stderr.

  Args:
    path: The file of the notebook, which stays unchanged.
    folder: The folder to execute the notebook in.
    checks: Code for one more cell, which sees the variables of the others.
  """
  notebook = nbformat.read(path, as_version=4)
  if checks:
    notebook.cells.append(nbformat.v4.new_code_cell(checks))
  # An error in a cell is raised here.
  nbclient.NotebookClient(
    notebook,
    timeout=600,
    kernel_name='python3',
    record_timing=False,
    coalesce_streams=True,
    resources={'metadata': {'path': str(folder)}},
  ).execute()
  for cell in notebook.cells:
    if cell.cell_type == 'code':
      # Progress bars differ between machines.
      cell.outputs = [o for o in cell.outputs if o.get('name') != 'stderr']
  return notebook


def main():
  (path,) = sys.argv[1:]
  with tempfile.TemporaryDirectory() as folder:
    notebook = execute(path, folder)
  notebook.metadata = nbformat.from_dict(_METADATA)
  nbformat.write(notebook, path)


if __name__ == '__main__':
  main()
