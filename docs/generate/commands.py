"""Makes the page of the commands from the flags that they define.

The source is parsed, not imported, so that the page needs no TensorFlow.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import pathlib
import types

import configuration


@dataclasses.dataclass(frozen=True)
class Flag:
  """A flag of a command.

  Attributes:
    name: Its name.
    default: The value if the flag is not given; None or '' for nothing.
    meaning: Its help text.
    values: The values that an enum allows; empty for other flags.
  """

  name: str
  default: object
  meaning: str
  values: tuple[str, ...] = ()


def _constants(tree: ast.Module) -> dict[str, object]:
  """Returns the names to which a module assigns literals, with their values."""
  found = {}
  for node in tree.body:
    if isinstance(node, ast.Assign):
      with contextlib.suppress(ValueError):
        found[node.targets[0].id] = ast.literal_eval(node.value)
  return found


class _Module:
  """A module of the commands, parsed."""

  def __init__(self, root: pathlib.Path, name: str):
    path = root / 'baselines/cifar' / f'{name}.py'
    self.tree = ast.parse(path.read_text())
    names = configuration.experiment_names(root)
    ranges = ast.parse((root / 'uncertainty_distill/ranges.py').read_text())
    # The names to which the flags' expressions refer.
    self.known = {
      'configs': types.SimpleNamespace(experiment_names=lambda: names),
      'ranges': types.SimpleNamespace(**_constants(ranges)),
      **_constants(self.tree),
    }

  def flags(self, within: str = '') -> list[Flag]:
    """Returns the flags that a function or, by default, the module defines.

    A call of a function that defines more flags is returned as its name.
    """
    body = self.tree.body
    if within:
      (body,) = [
        node.body
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name == within
      ]
    calls = [getattr(node, 'value', None) for node in body]
    found = []
    for call in calls:
      if not isinstance(call, ast.Call):
        continue
      name = ast.unparse(call.func).rpartition('.')[-1]
      if name.startswith('DEFINE_'):
        found.append(self._flag(name, call))
      elif name.startswith('define_'):
        found.append(name)
    return found

  def _flag(self, kind: str, call: ast.Call) -> Flag:
    if kind == 'DEFINE_flag':  # A flag whose value may be left out.
      (made,) = call.args
      named = {word.arg: word.value for word in made.keywords}
      meaning = self._value(named['help_string'])
      return Flag(self._value(made.args[0]), None, meaning)
    values = [self._value(argument) for argument in call.args]
    if kind == 'DEFINE_enum':
      name, default, choices, meaning = values
      return Flag(name, default, meaning, tuple(choices))
    return Flag(*values)

  def _value(self, node: ast.expr):
    code = compile(ast.Expression(node), 'flag', 'eval')
    return eval(code, dict(self.known))


def names(root: pathlib.Path) -> tuple[str, ...]:
  """Returns the names of the commands."""
  return _Module(root, 'console').known['COMMANDS']


def flags(root: pathlib.Path, command: str) -> list[Flag]:
  """Returns the flags of a command, its own first.

  Args:
    root: The root of the repository.
    command: One of `names`.
  """
  launch = _Module(root, 'launch')

  def expand(found):
    for flag in found:
      if isinstance(flag, str):
        yield from expand(launch.flags(flag))
      else:
        yield flag

  own = _Module(root, command).flags()
  # Flags that commands share come last.
  return list(expand(sorted(own, key=lambda flag: isinstance(flag, str))))


def _default(flag: Flag) -> str:
  value = flag.default
  if value is None or value is False or value in ('', []):
    return ''
  return f'`{",".join(value) if isinstance(value, list) else value}`'


def _row(flag: Flag) -> str:
  meaning = flag.meaning.strip()
  if flag.values:
    meaning = f'{" or ".join(f"`{v}`" for v in flag.values if v)}. {meaning}'
  text = meaning.replace('|', '\\|').replace('*', '\\*')
  return f'| `--{flag.name}` | {_default(flag)} | {text} |'


def page(root: pathlib.Path) -> str:
  """Returns the page."""
  sections = [
    '# Commands',
    'An installation has them all in one, `uncertainty-distill COMMAND`; in a'
    ' checkout they are also the scripts in `baselines/cifar/`. The two are the'
    ' same: write `uncertainty-distill distill` for `python'
    ' baselines/cifar/distill.py`. `uncertainty-distill quickstart` is'
    ' `uncertainty-distill reproduce --study=quickstart --parallel=2`.'
    ' `--help` shows the flags below. All commands also take `--verbosity`:'
    ' `--verbosity=0` adds the messages of TensorFlow and Orbit.',
    '## Exit codes',
    '| Code | Meaning |\n|--:|---|\n'
    '| 0 | The command is done. |\n'
    '| 1 | Training diverged, a part of the images could not be read, or'
    ' another worker ended. |\n'
    '| 2 | A flag, a configuration value or a file is wrong, or the disk'
    ' refuses to write; one line says which. |\n'
    '| 130, 143 | Ctrl-C or SIGTERM stopped it; the same command goes on. |',
  ]
  for command in names(root):
    tree = _Module(root, command).tree
    text = inspect.cleandoc(ast.get_docstring(tree))
    lines = []
    for block in text.split('\n\n'):
      start = block.find('python baselines/')
      if start < 0:
        lines.append(' '.join(block.split()))
      else:
        lines.append(f'```\n{inspect.cleandoc(block)}\n```')
    sections += [
      f'## {command}',
      *lines,
      '| Flag | Default | Meaning |\n|---|---|---|\n'
      + '\n'.join(map(_row, flags(root, command))),
    ]
  return '\n\n'.join(sections) + '\n'
