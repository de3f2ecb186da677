"""Checks the imports between rooms, and the BUILD file against the imports."""

import ast
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = 'uncertainty_distill'

# The rooms from the ground up: each imports only rooms named before it.
ROOMS = (
  'errors',
  'ranges',
  'io',
  'runtime',
  'metrics',
  'losses',
  'plots',
  'layers',
  'models',
  'reconstruction',
  'configs',
  'distribution',
  'data',
  'runs',
  'trained',
  'training',
  'evaluation',
  'reports',
  'exporting',
  'studies',
  'api',
  'baselines',
)

# Maps a library to the rooms that import it; no other room may import it.
ONLY_IN = {
  'absl.flags': {'baselines'},
  'edward2': {'layers'},
  'markdown_it': {'reports'},
  'matplotlib': {'plots'},
  'official': {'models', 'configs', 'distribution', 'training'},
  'orbit': {'training'},
  'ray': {'distribution'},
}
PLOTS_NEED = {'PIL', 'matplotlib', 'numpy'}


def _room(path):
  """Returns a file's room; the package's own __init__ belongs to `api`."""
  parts = path.relative_to(ROOT).with_suffix('').parts
  if parts[0] == 'baselines':
    return 'baselines'
  return 'api' if parts[1] == '__init__' else parts[1]


FILES = sorted(
  path
  for folder in (PACKAGE, 'baselines')
  for path in (ROOT / folder).rglob('*.py')
)


def _imports(path):
  """Returns the dotted names of all imports in a file."""
  names = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: import by the full name, not relatively'
      names.update(f'{node.module}.{alias.name}' for alias in node.names)
  return names


def _imported_rooms(path):
  """Returns the rooms that a file imports from."""
  names = (name.split('.') for name in _imports(path))
  rooms = {name[1] for name in names if name[0] == PACKAGE and name[1:]}
  return {room if room in ROOMS else 'api' for room in rooms}


def _used_rooms(room):
  """Returns the other rooms that the files of a room import from."""
  paths = [path for path in FILES if _room(path) == room]
  return set().union(*map(_imported_rooms, paths)) - {room}


def test_every_file_is_in_a_room():
  assert {_room(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path):
  below = ROOMS[: ROOMS.index(_room(path)) + 1]
  above = _imported_rooms(path) - set(below)
  assert not above, f'{path} may not import {sorted(above)}'


def test_no_two_files_have_one_name():
  names = [p.stem for p in FILES if p.stem != '__init__']
  commands = {p.stem for p in FILES if _room(p) == 'baselines'}
  twice = {name for name in names if names.count(name) > 1}
  assert not twice - commands, sorted(twice)


def test_no_public_name_is_that_of_a_file_beside_it():
  """A file that is imported later would take the place of the name."""
  for file in ROOT.glob('uncertainty_distill/**/__init__.pyi'):
    names = set(re.findall(r' as (\w+)$', file.read_text(), re.M))
    beside = {path.stem for path in file.parent.glob('*.py')}
    assert names and not names & beside, file


@pytest.mark.parametrize('library, rooms', ONLY_IN.items())
def test_imports_of_libraries(library, rooms):
  users = {
    _room(path)
    for path in FILES
    if any(f'{name}.'.startswith(f'{library}.') for name in _imports(path))
  }
  assert users == rooms


def test_plots_need_little():
  libraries = {
    name.split('.')[0]
    for path in FILES
    if _room(path) == 'plots'
    for name in _imports(path)
  }
  assert libraries - {PACKAGE, *sys.stdlib_module_names} == PLOTS_NEED


def test_build_has_what_each_room_imports():
  (table,) = (
    ast.literal_eval(statement.value)
    for statement in ast.parse((ROOT / 'BUILD').read_text()).body
    if isinstance(statement, ast.Assign)
    and ast.unparse(statement.targets[0]) == '_DEPS'
  )
  assert list(table) == list(ROOMS)
  for room, dependencies in table.items():
    assert set(dependencies) == _used_rooms(room), f'_DEPS["{room}"] in BUILD'
