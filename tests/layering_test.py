"""Holds who imports whom, and the BUILD file, against the source tree."""

import ast
import pathlib
import sys
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = 'uncertainty_distill'

# What each part of the package may import of it, from the ground upwards: a
# part imports only parts named before it. `base`, free for all, is what
# BASE_MODULES names.
MAY_IMPORT = {
  **dict.fromkeys(
    ['base', '_edward2', 'plots', 'losses', 'metrics', 'data'], ()
  ),
  'modeling': ('_edward2',),
  **dict.fromkeys(['configs', 'checkpoints'], ()),
  'runs': ('checkpoints', 'configs', 'modeling'),
  'teachers': ('configs', 'modeling', 'runs'),
  'serving': ('configs', 'metrics', 'modeling', 'runs'),
  'evaluation': (
    'configs',
    'data',
    'metrics',
    'modeling',
    'plots',
    'runs',
    'teachers',
  ),
  'tasks': ('configs', 'data', 'losses', 'metrics', 'modeling', 'teachers'),
  'train_lib': (
    'checkpoints',
    'configs',
    'data',
    'metrics',
    'plots',
    'runs',
    'tasks',
    'teachers',
  ),
  'workflow': (
    'configs',
    'data',
    'evaluation',
    'metrics',
    'modeling',
    'plots',
    'runs',
    'serving',
    'teachers',
    'train_lib',
  ),
  'api': (
    'configs',
    'data',
    'evaluation',
    'runs',
    'serving',
    'teachers',
    'train_lib',
    'workflow',
  ),
  'studies': (
    'configs',
    'data',
    'evaluation',
    'modeling',
    'plots',
    'runs',
    'train_lib',
    'workflow',
  ),
  'baselines': (
    'configs',
    'data',
    'evaluation',
    'runs',
    'serving',
    'studies',
    'teachers',
    'train_lib',
    'workflow',
  ),
}
BASE_MODULES = (
  '__init__',
  'archives',
  'checksums',
  'deferred',
  'disk',
  'errors',
  'files',
  'interrupts',
  'locks',
  'progress',
  'workers',
)

# Who alone may import what from outside the package.
ONLY_IN = {
  'absl.flags': ('baselines',),
  'edward2': ('_edward2',),
  'markdown_it': ('evaluation',),
  'matplotlib': ('plots',),
  'official': ('configs', 'tasks', 'train_lib', 'serving', 'baselines'),
  'orbit': ('tasks', 'train_lib'),
}
PLOTS_NEED = {'PIL', 'matplotlib', 'numpy'}


class Rule(NamedTuple):
  """A BUILD rule; its lists in alphabetical order."""

  kind: str
  sources: tuple[str, ...]
  data: tuple[str, ...]
  dependencies: tuple[str, ...]


def _files(folder, pattern='*.py'):
  """The files below a folder of the repository, as relative paths."""
  paths = (ROOT / folder).rglob(pattern)
  return sorted(path.relative_to(ROOT).as_posix() for path in paths)


def _part(path):
  """The part of the package to which a file belongs."""
  names = pathlib.PurePosixPath(path).with_suffix('').parts
  if names[0] == 'baselines':
    return 'baselines'
  return 'base' if names[1] in BASE_MODULES else names[1]


def _public_names():
  """The names that the package itself offers, from its parts."""
  tree = ast.parse((ROOT / PACKAGE / '__init__.py').read_text())
  (modules,) = (
    node.value
    for node in tree.body
    if isinstance(node, ast.Assign)
    and ast.unparse(node.targets[0]) == '_MODULES'
  )
  return set(ast.literal_eval(modules))


PACKAGE_FILES = _files(PACKAGE) + _files('baselines')
PUBLIC = _public_names()


def _imports(path):
  """The dotted names that a file imports, wherever in the file that is."""
  names = set()
  for node in ast.walk(ast.parse((ROOT / path).read_text())):
    if isinstance(node, ast.Import):
      names.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: import by the full name, not relatively'
      names.update(f'{node.module}.{alias.name}' for alias in node.names)
  return names


def _imported_parts(path):
  """The parts of the package that a file imports."""
  names = (name.split('.') for name in _imports(path))
  return {
    _part_of_name(name[1]) if name[1:] else 'base'
    for name in names
    if name[0] == PACKAGE
  }


def _part_of_name(name):
  """The part of the package to which what is imported from it belongs."""
  if name in PUBLIC:
    return 'api'
  return name if name in MAY_IMPORT else 'base'


def test_every_part_is_in_the_table():
  assert {_part(path) for path in PACKAGE_FILES} == set(MAY_IMPORT)


def test_the_table_leads_upwards_only():
  floors = list(MAY_IMPORT)
  for part, allowed in MAY_IMPORT.items():
    assert set(allowed) <= set(floors[: floors.index(part)]), part


@pytest.mark.parametrize('path', PACKAGE_FILES)
def test_imports_of_the_package(path):
  part = _part(path)
  forbidden = _imported_parts(path) - {part, 'base', *MAY_IMPORT[part]}
  assert not forbidden, f'{path} may not import {sorted(forbidden)}'


@pytest.mark.parametrize('name, parts', ONLY_IN.items())
def test_imports_from_outside(name, parts):
  users = {
    path
    for path in PACKAGE_FILES
    if any(f'{found}.'.startswith(f'{name}.') for found in _imports(path))
  }
  assert users, f'nothing imports {name}: take it out of the table'
  strangers = [path for path in users if _part(path) not in parts]
  assert not strangers, f'only {parts} may import {name}'


def test_plots_need_little():
  roots = {
    name.split('.')[0]
    for path in PACKAGE_FILES
    if _part(path) == 'plots'
    for name in _imports(path)
  }
  assert roots - {PACKAGE, *sys.stdlib_module_names} == PLOTS_NEED


def _is_command(path):
  return "if __name__ == '__main__':" in (ROOT / path).read_text()


def _rule(kind, sources, name, *more, data=()):
  """The rule of these sources, with what they import as dependencies."""
  parts = set().union(*(_imported_parts(path) for path in sources), more)
  if any(path in PACKAGE_FILES for path in sources):
    # Python runs the package's __init__ before any module in it.
    parts.add('base')
  dependencies = sorted(f':{part}' for part in parts - {name})
  return Rule(kind, tuple(sorted(sources)), tuple(data), tuple(dependencies))


def _rules_of_the_tree():
  """The rules that BUILD should hold: name to rule."""
  commands = [path for path in _files('baselines') if _is_command(path)]
  rules = {}
  for part in MAY_IMPORT:
    sources = [
      path
      for path in PACKAGE_FILES
      if _part(path) == part and path not in commands
    ]
    data = [path for path in _files(PACKAGE, '*.json') if _part(path) == part]
    rules[part] = _rule('py_library', sources, part, data=data)
  for path in commands:
    name = pathlib.PurePosixPath(path).stem
    rules[name] = _rule('py_binary', [path], name)
  shared = [path for path in _files('tests') if not path.endswith('_test.py')]
  rules['conftest'] = _rule('py_library', shared, 'conftest')
  tests = {}
  for path in _files('tests'):
    folder, stem = pathlib.PurePosixPath(path).parts[-2:]
    if path not in shared:
      name = stem[:-3] if folder == 'tests' else f'{folder}_tests'
      tests.setdefault(name, []).append(path)
  for name, sources in tests.items():
    rules[name] = _rule('py_test', sources, name, 'conftest')
  return rules


def _rules_of_build():
  """The rules that BUILD holds: name to rule."""
  rules = {}
  for statement in ast.parse((ROOT / 'BUILD').read_text()).body:
    call = statement.value
    if call.func.id.startswith('py_'):
      values = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
      assert values['name'] not in rules, f'twice: {values["name"]}'
      rules[values['name']] = Rule(
        call.func.id,
        *(tuple(values.get(key, ())) for key in ('srcs', 'data', 'deps')),
      )
  return rules


def _text(name, rule):
  """A rule as it should stand in BUILD."""
  lines = [f'{rule.kind}(', f'    name = "{name}",']
  for key, values in zip(('srcs', 'data', 'deps'), rule[1:]):
    if len(values) == 1:
      lines.append(f'    {key} = ["{values[0]}"],')
    elif values:
      lines.append(f'    {key} = [')
      lines += [f'        "{value}",' for value in values]
      lines.append('    ],')
  return '\n'.join([*lines, ')\n'])


def test_build_lists_the_tree():
  wanted, found = _rules_of_the_tree(), _rules_of_build()
  differing = [
    _text(name, rule)
    for name, rule in wanted.items()
    if found.get(name) != rule
  ]
  stale = sorted(set(found) - set(wanted))
  assert not differing, 'BUILD should say\n\n' + '\n'.join(differing)
  assert not stale, f'BUILD has rules without sources: {stale}'
