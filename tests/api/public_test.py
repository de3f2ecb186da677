"""Tests of the public names: their list, their help, and what they import."""

import ast
import importlib
import inspect
import pathlib
import pydoc
import re
import typing

import uncertainty_distill as ud
from uncertainty_distill.api import predictor

import pytest
import running

_STUB = pathlib.Path(ud.__file__).with_suffix('.pyi')
_FUNCTIONS = sorted(
  name for name in ud.__all__ if inspect.isfunction(getattr(ud, name))
)
_METHODS = [predictor.Predictor.__init__, predictor.Predictor.predict]


def test_type_checkers_see_the_same_names():
  stub = {}
  _, *imports, version = ast.parse(_STUB.read_text()).body
  assert ast.unparse(version) == '__version__: str'
  for node in imports:
    (alias,) = node.names
    # Without `as`, type checkers would not offer the name.
    assert alias.asname == alias.name
    stub[alias.name] = f'{ud.__name__}.{node.module}'
  assert stub.keys() == set(ud.__all__)
  for name, module in stub.items():
    found = getattr(ud, name)
    assert found is getattr(importlib.import_module(module), name)
    assert found.__module__ == module
  assert _STUB.with_name('py.typed').is_file()


def test_no_room_hides_a_public_name():
  # A module that is imported becomes an attribute of its package.
  rooms = {path.stem for path in pathlib.Path(ud.__file__).parent.iterdir()}
  assert not rooms & set(ud.__all__)


def test_a_star_brings_all_of_them():
  names = {}
  exec('from uncertainty_distill import *', names)
  assert set(ud.__all__) <= names.keys() and set(ud.__all__) <= set(dir(ud))
  with pytest.raises(AttributeError):
    getattr(ud, 'evalute')  # noqa: B009


@pytest.mark.parametrize(
  'function', [getattr(ud, name) for name in _FUNCTIONS] + _METHODS
)
def test_help_tells_of_every_argument(function):
  told = inspect.getdoc(function)
  parameters = list(inspect.signature(function).parameters)
  if function in _METHODS:
    parameters.remove('self')
  for section in ['Args:', *parameters]:
    assert f'{section.rstrip(":")}:' in told, section
  if function is not predictor.Predictor.__init__:
    assert 'Returns:' in told and 'Raises:' in told
  hints = typing.get_type_hints(function)
  assert {*parameters, 'return'} <= {*hints, 'return'}
  assert function in _METHODS or 'return' in hints


def test_help_tells_of_every_attribute():
  for described in ud.Predictions, ud.Predictor, ud.InputError:
    told = inspect.getdoc(described)
    assert 'Attributes:' in told
    for name in typing.get_type_hints(described):
      assert f'{name}:' in told
  page = pydoc.render_doc(ud, renderer=pydoc.plaintext)
  for name in ud.__all__:
    assert re.search(rf'\b{name}\b', ud.__doc__), name
    section = re.findall(rf'^    (?:class )?{name}\(', page, re.MULTILINE)
    assert len(section) == 1, name
  assert 'docs/tour.ipynb' in page


@pytest.mark.parametrize(
  'code, without',
  [
    (
      'import uncertainty_distill',
      {'tensorflow', 'numpy', 'official', 'uncertainty_distill.api'},
    ),
    ('from uncertainty_distill import InputError', {'tensorflow', 'numpy'}),
    (
      'import uncertainty_distill as ud\n'
      'ud.corrupt(ud.load_dataset("digits").images[:2], "frost", 1)',
      {'tensorflow', 'official', 'tensorflow_datasets'},
    ),
  ],
)
def test_nothing_is_imported_before_it_is_needed(code, without):
  assert not without & running.imported_after(code)


def test_tensorflow_comes_with_keras_2(monkeypatch):
  # This process has set the variable already, and a new one would inherit it.
  monkeypatch.delenv('TF_USE_LEGACY_KERAS', raising=False)
  code = (
    'from uncertainty_distill import load\n'
    'import tensorflow as tf\n'
    'import tf_keras\n'
    'assert tf.keras.Model is tf_keras.Model'
  )
  running.imported_after(code)  # Fails if the code does.
