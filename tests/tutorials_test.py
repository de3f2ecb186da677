"""Runs the code of the tutorials that need no trained models."""

import pathlib
import re

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_any_keras_network(tmp_path, monkeypatch):
  page = (_ROOT / 'docs/tutorials/any_keras_network.md').read_text()
  blocks = re.findall(r'```python\n(.*?)```', page, re.S)
  assert len(blocks) == 6
  monkeypatch.chdir(tmp_path)
  names = {}
  for block in blocks:
    exec(block, names)
  # As the page says about its data.
  assert names['scores']['accuracy'] > 0.85
  assert 0 < names['scores']['disagreement'] < 0.3
  assert names['logits'].shape == (4, 1000, 10)
  found = names['predictions'].probabilities
  assert abs(found - names['mean'][:5]).max() < 1e-4
  again = names['again'].predict(names['test'].images[:5], verbose=0)
  assert abs(again - names['logits'][:, :5]).max() < 1e-3
