r"""Executes notebooks in a kernel of their own, as Jupyter does.

  python tests/helpers/notebooks.py docs/tour.ipynb

executes one in an empty folder and writes it with its new outputs.
"""

import sys
import tempfile

import nbclient
import nbformat

# Of whatever machine and version executes it.
_METADATA = {
  'kernelspec': {
    'display_name': 'Python 3',
    'language': 'python',
    'name': 'python3',
  },
  'language_info': {'name': 'python'},
}


def execute(path, folder, checks=''):
  """Returns a notebook after its execution, without what it says on stderr.

  Args:
    path: Of the file, which stays as it is.
    folder: To execute it in.
    checks: Code for one more cell, which sees what the others have left.
  """
  notebook = nbformat.read(path, as_version=4)
  if checks:
    notebook.cells.append(nbformat.v4.new_code_cell(checks))
  # It raises what a cell raises.
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
      # Progress bars: each machine has its own.
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
