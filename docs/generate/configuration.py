"""The page of every configuration value, from the dataclasses of `configs`.

The source is parsed, not imported, so that this needs neither TensorFlow nor
Model Garden.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pathlib
import re
from collections.abc import Iterator

_ROOT = 'ExperimentConfig'
# Fields of Model Garden's own dataclasses, with their defaults.
_MODEL_GARDEN = {
  'trainer.loss_upper_bound': ('float', '1000000.0'),
  'trainer.recovery_begin_steps': ('int', '0'),
  'trainer.recovery_max_trials': ('int', '0'),
}
# Model Garden's own as well, with other defaults here.
_DERIVED = {
  'trainer.steps_per_loop': 'Steps between two reports of training; derived.',
  'trainer.summary_interval': 'Steps between points of a curve; derived.',
  'trainer.checkpoint_interval': 'Steps between checkpoints; derived.',
  'trainer.validation_interval': 'Steps between evaluations; derived.',
  'trainer.validation_summary_subdir': (
    'The folder of the curves of the clean test images.'
  ),
}
_RUNTIME = (
  'Devices, as Model Garden describes them. These values have a use here:\n'
)
_RUNTIME_FIELDS = (
  (
    'distribution_strategy',
    'str',
    "'mirrored'",
    'Set it to `multi_worker_mirrored` for several hosts.',
  ),
  ('mixed_precision_dtype', 'str', 'None', '`float32` or `bfloat16`.'),
  ('num_gpus', 'int', '0', 'The number of GPUs to use; 0 for all.'),
  ('tpu', 'str', 'None', 'The TPU to use: `local` or a name.'),
)


@dataclasses.dataclass(frozen=True)
class Field:
  """A configuration value.

  Attributes:
    name: The last part of its name.
    type: Its annotation.
    default: Its default value, as source code.
    meaning: What its docstring says.
  """

  name: str
  type: str
  default: str
  meaning: str


@dataclasses.dataclass(frozen=True)
class Group:
  """The values of one dataclass.

  Attributes:
    prefix: The first parts of their names, such as `task.model`.
    summary: What the dataclass's docstring says.
    fields: Its values.
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
  for path in sorted((root / 'uncertainty_distill/configs').glob('*.py')):
    for node in ast.parse(path.read_text()).body:
      if isinstance(node, ast.ClassDef):
        classes[node.name] = node
  found = list(_walk(classes, _ROOT, ''))
  fields = tuple(Field(*field) for field in _RUNTIME_FIELDS)
  return [*found, Group('runtime', _RUNTIME.strip(), fields)]


def _walk(classes, class_name: str, prefix: str) -> Iterator[Group]:
  """Yields the group of a dataclass, then those of its own dataclasses."""
  node = classes[class_name]
  summary, meanings = sections(ast.get_docstring(node))
  nested, fields = [], []
  for statement in node.body:
    if not isinstance(statement, ast.AnnAssign) or statement.value is None:
      continue
    name, annotation = statement.target.id, ast.unparse(statement.annotation)
    if annotation in classes:
      nested.append((annotation, f'{prefix}.{name}'.lstrip('.')))
      continue
    meaning = meanings.get(name) or _DERIVED.get(f'{prefix}.{name}')
    if not meaning:
      raise ValueError(f'the docstring of {class_name} lacks {name}')
    fields.append(Field(name, annotation, _default(statement.value), meaning))
  for name, meaning in meanings.items():
    if f'{prefix}.{name}' in _MODEL_GARDEN:
      kind, default = _MODEL_GARDEN[f'{prefix}.{name}']
      fields.append(Field(name, kind, default, meaning))
  yield Group(prefix, summary, tuple(fields))
  for annotation, path in nested:
    yield from _walk(classes, annotation, path)


def _default(value: ast.expr) -> str:
  """Returns a default; of a call such as `field(0.9, ...)` its first value."""
  if isinstance(value, ast.Call):
    named = {keyword.arg: keyword.value for keyword in value.keywords}
    value = value.args[0] if value.args else named['default']
  return ast.unparse(value)


def _experiments(root: pathlib.Path) -> list[tuple[str, str]]:
  """Returns the registered experiments and what they are."""
  path = root / 'uncertainty_distill/configs/registry.py'
  return [
    (node.decorator_list[0].args[0].value, ast.get_docstring(node))
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and node.decorator_list
    and isinstance(node.decorator_list[0], ast.Call)
  ]


def experiment_names(root: pathlib.Path) -> list[str]:
  """Returns the names of the registered experiments, sorted."""
  return sorted(name for name, _ in _experiments(root))


def _shown(text: str) -> str:
  """Returns text for a cell of a table."""
  return text.replace('|', '\\|').replace('*', '\\*').replace('_', '\\_')


def _cell(text: str) -> str:
  """Returns text for a cell, its code left as it is."""
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
