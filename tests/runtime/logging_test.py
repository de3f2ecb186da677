"""Tests that logs are shown, unless a logger's level silences them."""

import ast
import pathlib
import shutil
import subprocess
import sys

import foreign
import pytest
import tensorflow as tf

_PACKAGE = pathlib.Path(__file__).parents[2] / 'uncertainty_distill'


@pytest.fixture(name='path', scope='module')
def _path(tmp_path_factory):
  """A SavedModel whose output has an ambiguous name."""
  module = foreign.Linear()
  return foreign.save(
    tmp_path_factory.mktemp('saved') / 'model',
    module,
    lambda images: {'top': tf.nn.softmax(module.logits(images)[:, 0])},
    (None, 6, 6, 3),
  )


def test_a_logger_s_level_silences_a_call(path, tmp_path):
  silenced = shutil.copytree(path, tmp_path / 'silenced')
  code = (
    'import logging, os\n'
    'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"\n'
    'import uncertainty_distill as ud\n'
    'logger = logging.getLogger("uncertainty_distill")\n'
    f'for level, path in ("NOTSET", {path!r}), ("ERROR", {str(silenced)!r}):\n'
    '  logger.setLevel(level)\n'
    '  ud.load(path)'
  )
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', code],
    check=True,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert path in done.stderr
  assert str(silenced) not in done.stderr


def test_only_commands_print():
  for file in _PACKAGE.rglob('*.py'):
    calls = [
      node
      for node in ast.walk(ast.parse(file.read_text()))
      if isinstance(node, ast.Call) and ast.unparse(node.func) == 'print'
    ]
    assert not calls, file
