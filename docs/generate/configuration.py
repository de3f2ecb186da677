"""Makes the page of every configuration value from the dataclasses.

The source is parsed, not imported, so that the page needs neither TensorFlow
nor Model Garden.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pathlib
import re
from collections.abc import Iterator

_ROOT = 'ExperimentConfig'
# Values of Model Garden's own dataclasses that are useful here: their names,
# types, defaults and meanings.
_MODEL_GARDEN = {
  'runtime': (
    (
      'distribution_strategy',
      'str',
      "'mirrored'",
      'Set it to `multi_worker_mirrored` for several hosts.',
    ),
    ('num_gpus', 'int', '0', 'The number of GPUs to use; 0 for all.'),
    ('tpu', 'str', 'None', 'The TPU to use: `local` or a name.'),
  ),
}


@dataclasses.dataclass(frozen=True)
class Field:
  """A configuration value.

  Attributes:
    name: The last part of its name.
    type: Its annotation.
    default: Its default value, as source code.
    meaning: Its description in the dataclass's docstring.
  """

  name: str
  type: str
  default: str
  meaning: str


@dataclasses.dataclass(frozen=True)
class Group:
  """The values of one dataclass.

  Attributes:
    prefix: The first parts of the values' names, such as `task.model`.
    summary: The text of the dataclass's docstring.
    fields: The values.
  """

  prefix: str
  summary: str
  fields: tuple[Field, ...]


def sections(docstring: str) -> tuple[str, dict[str, str]]:
  """Returns a Google docstring's text and the meanings of its attributes."""
  text, _, listed = inspect.cleandoc(docstring).partition('\nAttributes:\n')
  items = re.split(r'^  (\w+):\s', listed, flags=re.M)[1:]
  meanings = {
    name: ' '.join(meaning.split())
    for name, meaning in zip(items[::2], items[1::2])
  }
  return text.strip(), meanings


def groups(root: pathlib.Path) -> list[Group]:
  """Returns all values of an experiment.

  Args:
    root: The root of the repository.

  Raises:
    ValueError: If a value has no line in its docstring.
  """
  classes = {}
  for room in 'models', 'configs':
    for path in (root / 'uncertainty_distill' / room).glob('*.py'):
      for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
          classes[node.name] = node
  return list(_walk(classes, _ROOT, ''))


def _walk(classes, class_name: str, prefix: str) -> Iterator[Group]:
  """Yields the group of a dataclass, then the groups of its own dataclasses."""
  node = classes[class_name]
  summary, meanings = sections(ast.get_docstring(node))
  nested, fields = [], []
  for name, statement in _statements(classes, node).items():
    annotation = ast.unparse(statement.annotation)
    own = annotation.rpartition('.')[2]
    if own in classes:
      nested.append((own, f'{prefix}.{name}'.lstrip('.')))
      continue
    if name not in meanings:
      raise ValueError(f'the docstring of {class_name} lacks {name}')
    default = _default(statement.value)
    fields.append(Field(name, annotation, default, meanings[name]))
  fields += [Field(*field) for field in _MODEL_GARDEN.get(prefix, ())]
  yield Group(prefix, summary, tuple(fields))
  for annotation, path in nested:
    yield from _walk(classes, annotation, path)


def _statements(classes, node) -> dict[str, ast.AnnAssign]:
  """Returns the fields of a dataclass by name, its bases' fields first."""
  found = {}
  for base in map(ast.unparse, node.bases):
    if base in classes:
      found.update(_statements(classes, classes[base]))
  for statement in node.body:
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
      if not ast.unparse(statement.annotation).startswith('ClassVar'):
        found[statement.target.id] = statement
  return found


def _default(value: ast.expr) -> str:
  """Returns a default: for a call such as `field(0.9, ...)` its first value."""
  if isinstance(value, ast.Call):
    named = {keyword.arg: keyword.value for keyword in value.keywords}
    value = value.args[0] if value.args else named['default']
  return ast.unparse(value)


def _experiments(root: pathlib.Path) -> list[tuple[str, str]]:
  """Returns the names and the descriptions of the registered experiments."""
  path = root / 'uncertainty_distill/configs/registry.py'
  (table,) = (
    node.value
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.Assign) and node.targets[0].id == '_EXPERIMENTS'
  )
  return [
    (name.value, entry.elts[0].value)
    for name, entry in zip(table.keys, table.values)
  ]


def experiment_names(root: pathlib.Path) -> list[str]:
  """Returns the names of the registered experiments, sorted."""
  return sorted(name for name, _ in _experiments(root))


def _shown(text: str) -> str:
  """Returns text with the characters escaped that are special in a table."""
  return text.replace('|', '\\|').replace('*', '\\*').replace('_', '\\_')


def _cell(text: str) -> str:
  """Returns text for a cell of a table, with its code left as it is."""
  parts = re.split(r'(`[^`]*`)', text)
  return ''.join(
    part if part.startswith('`') else _shown(part) for part in parts
  )


def page(root: pathlib.Path) -> str:
  """Returns the page."""
  lines = [
    '# Configuration values',
    'Every value of an experiment with its default. Set it by'
    ' `--params_override=task.model.width=2,trainer.epochs=5`, in a YAML file'
    ' for `--config_file`, in the `params_override` of a study, or as'
    " `ud.experiment(name, {'task.model.width': 2})`. A run folder keeps all"
    ' values in `params.yaml`.',
    'A default of `0` or `()` that is said to be derived is filled in when the'
    ' experiment starts.',
    '## Experiments',
    'An experiment is a set of values with a name. It may change defaults'
    ' below.\n',
    '| `--experiment` | What it is |\n|---|---|\n'
    + '\n'.join(
      f'| `{name}` | {_cell(what)} |' for name, what in _experiments(root)
    ),
  ]
  for group in groups(root):
    if not group.fields:
      continue
    title = f'`{group.prefix}`' if group.prefix else 'The experiment'
    lines += [f'## {title}', group.summary]
    rows = [
      f'| `{field.name}` | `{field.default}` | {_cell(field.meaning)} |'
      for field in group.fields
    ]
    lines.append(
      '\n'.join(['| Value | Default | Meaning |', '|---|---|---|', *rows])
    )
  return '\n\n'.join(lines) + '\n'
