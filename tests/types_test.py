"""Tests that the package has the types that it promises by `py.typed`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import running


def test_every_annotation_is_there():
  program = pathlib.Path(sys.executable).with_name('basedpyright')
  if not program.exists():
    pytest.skip('basedpyright is not installed')
  done = subprocess.run(
    [
      program,
      '--verifytypes=uncertainty_distill',
      '--ignoreexternal',
      '--outputjson',
      f'--pythonpath={sys.executable}',
    ],
    # basedpyright does not see an editable installation.
    env={**os.environ, 'PYTHONPATH': str(running.ROOT)},
    cwd=running.ROOT.parent,
    capture_output=True,
    text=True,
    check=False,
    timeout=300,
  )
  symbols = json.loads(done.stdout)['typeCompleteness']['symbols']
  assert any(s['name'] == 'uncertainty_distill.distill' for s in symbols)
  # Its other diagnostics are about libraries without types: tf-keras, Edward2
  # and Model Garden.
  missing = [
    f'{symbol["name"]}: {diagnostic["message"]}'
    for symbol in symbols
    for diagnostic in symbol['diagnostics']
    if 'missing' in diagnostic['message']
  ]
  assert not missing, '\n'.join(missing)
