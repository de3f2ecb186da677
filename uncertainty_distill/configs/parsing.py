"""Makes a checked configuration from a name, files and overrides.

Model Garden's parser takes values of any type. Here every key must exist, and
every value must have the type that its field declares.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import math
import operator
import os
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import errors, models
from uncertainty_distill.configs import registry
from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.configs.model_config import NetworkConfig
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import yaml
from official.core import exp_factory
from official.modeling import hyperparams
from official.modeling.hyperparams import params_dict

_TYPE_NAMES = {
  int: 'an integer',
  float: 'a finite number',
  bool: 'true or false',
  str: 'text',
  type(None): 'null',
}
# All that must be set to use Adam, for error messages.
ADAM = (
  'for Adam set trainer.optimizer_config.optimizer.type=adam,'
  'trainer.optimizer_config.learning_rate.type=constant,'
  'trainer.optimizer_config.learning_rate.constant.learning_rate=0.001,'
  'task.fast_weight_learning_rate_multiplier=1'
)


def load_config(
  experiment: str,
  config_files: Sequence[str] = (),
  params_override: str = '',
) -> ExperimentConfig:
  """Returns a registered experiment with overrides, of which later ones win.

  Args:
    experiment: The registered name of the experiment.
    config_files: YAML files of overrides.
    params_override: More overrides, as `task.seed=1,trainer.epochs=5` or YAML.

  Raises:
    InputError: If the name, a file, a key or the type of a value is wrong.
  """
  names = registry.experiment_names()
  if experiment not in names:
    raise InputError(
      'experiment',
      experiment,
      'one of ' + ', '.join(names),
      errors.nearest(os.path.basename(experiment), names),
    )
  config = exp_factory.get_exp_config(experiment)
  config.forget_what_was_set()
  for path in config_files:
    override(config, read_yaml(path, 'config_file'), path)
  override_by_text(config, params_override)
  return config  # pyright: ignore[reportReturnType]


def override(
  config: hyperparams.Config, values: Mapping[str, Any], source: str
) -> None:
  """Overrides fields in place.

  Args:
    config: Any configuration of this package.
    values: A nested mapping of field names to values.
    source: The origin of the values, for error messages.

  Raises:
    InputError: If a key is unknown, a value has the wrong type, or a value
      contains itself.
  """
  try:
    checked = _checked(config, values, source, '')
  except RecursionError as error:
    raise InputError(
      source,
      '',
      'without values that contain themselves',
      message=f'{source} has a value that contains itself',
    ) from error
  config.override(checked, is_strict=True)


def read_yaml(path: str, name: str) -> dict[str, Any]:
  """Safely reads a YAML file whose top level is a mapping.

  Args:
    path: The file.
    name: The parameter that gave the path, for error messages.

  Raises:
    InputError: If the file is missing, or is not such a YAML file.
  """
  try:
    values = _load_yaml(files.read_text(path))
  except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
    reason = ' '.join(str(error).split())
    raise InputError(name, path, 'a readable YAML file', reason) from error
  if not isinstance(values, dict):
    raise InputError(
      name, path, f'a YAML mapping, not a {type(values).__name__}'
    )
  return values


# A study of hundreds of runs reads hundreds of files. libyaml reads them six
# times as fast, if PyYAML was built with it.
_SafeLoader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
# libyaml's composer recurses, and too deep a nesting crashes the process.
_MAX_DEPTH = 100
# More than any file has, with what aliases repeat.
_MAX_NODES = 1_000_000


class _Loader(_SafeLoader):  # pyright: ignore[reportGeneralTypeIssues]
  """PyYAML's safe loader, but a key that occurs twice is an error.

  PyYAML would take the last of two equal keys.
  """

  def construct_mapping(self, node, deep=False):
    # Checked before merge keys (<<) are resolved: those may be overridden.
    keys = [key.value for key, _ in node.value if key.value != '<<']
    counts = collections.Counter(map(str, keys))
    for key in keys:
      if counts[str(key)] > 1:
        raise yaml.constructor.ConstructorError(
          None, None, f'the key {key!r} appears twice', node.start_mark
        )
    return super().construct_mapping(node, deep)


def _load_yaml(text: str) -> Any:
  """Returns the content of one YAML document.

  Raises:
    yaml.YAMLError: If the text is not YAML, would make Python objects, has a
      key twice in a mapping, is nested too deep, or repeats too much.
  """
  _check_size(text)
  try:
    return yaml.load(text, _Loader)
  except (ValueError, TypeError, LookupError, AttributeError) as error:
    # A date that does not exist, such as 2020-99-99, or a tag of another kind
    # of value, such as !!bool maybe.
    raise yaml.YAMLError(str(error)) from error


def _check_size(text: str) -> None:
  """Raises a YAMLError for too deep a nesting, or too many repeated values."""
  # The number of nodes in each open collection, and what its anchor is.
  counts, anchors, known = [0], [None], {}
  for event in yaml.parse(text, _SafeLoader):
    if isinstance(event, yaml.CollectionStartEvent):
      counts.append(0)
      anchors.append(event.anchor)
    elif isinstance(event, yaml.CollectionEndEvent):
      known[anchors.pop()] = count = counts.pop() + 1
      counts[-1] += count
    elif isinstance(event, yaml.AliasEvent):
      counts[-1] += known.get(event.anchor, 1)
    else:
      counts[-1] += 1
    if len(counts) > _MAX_DEPTH + 1:
      raise yaml.YAMLError(f'it is nested more than {_MAX_DEPTH} levels deep')
    if counts[-1] > _MAX_NODES:
      raise yaml.YAMLError(
        f'its aliases stand for more than {_MAX_NODES} values'
      )


def override_by_text(config: hyperparams.Config, text: str) -> None:
  """Overrides fields in place by the text of `params_override`.

  Args:
    config: Any configuration of this package.
    text: Pairs such as `a.b=1,c=2`, which Model Garden reads, or YAML; may be
      empty.

  Raises:
    InputError: If the text is neither, a key is unknown, or a value has the
      wrong type.
  """
  if not text:
    return
  source = 'params_override'
  try:
    if '=' in text and not text.lstrip().startswith('{'):
      # A repeated key is an error in a file, but here its last pair wins.
      values = yaml.safe_load(params_dict.nested_csv_str_to_json_str(text))
    else:
      values = _load_yaml(text)
  except (ValueError, RecursionError, yaml.YAMLError):
    values = None
  if not isinstance(values, dict):
    raise InputError(
      source,
      text,
      'key=value pairs such as trainer.epochs=5,task.model.width=2, or YAML',
    )
  override(config, values, source)


def check_fields(config: hyperparams.Config, prefix: str = '') -> None:
  """Checks names and types of values, since Python code may set anything.

  Args:
    config: Any configuration of this package.
    prefix: The name of the configuration, with a dot at the end.

  Raises:
    InputError: If a name is unknown or a value has the wrong type.
  """
  annotations = _annotations(type(config))
  known = [field.name for field in dataclasses.fields(config)]
  for key, value in config.__dict__.items():
    name = f'{prefix}{key}'
    if key in config.RESERVED_ATTR:
      continue
    if key not in known:
      raise InputError(
        name,
        value,
        'a known name: ' + ', '.join(known),
        errors.nearest(key, known),
      )
    if isinstance(value, hyperparams.Config):
      check_fields(value, inner_prefix(prefix, key, value))
      continue
    try:
      if isinstance(value, str) and annotations[key] is float:
        raise TypeError(value)
      _typed(value, annotations[key])
    except TypeError as error:
      raise InputError(name, value, _type_name(annotations[key])) from error


@functools.cache
def _annotations(kind: type) -> dict[str, Any]:
  """Returns the types of a class's fields."""
  return typing.get_type_hints(kind)


def inner_prefix(prefix: str, key: str, inner: hyperparams.Config) -> str:
  """Returns the prefix of names in a configuration within another one.

  An architecture's fields are named as if they were fields of the network.

  Args:
    prefix: The name of the outer configuration, with a dot at the end.
    key: The field of the outer one.
    inner: The value of the field.
  """
  if isinstance(inner, models.Architecture):
    return prefix.removesuffix('architecture.')
  return f'{prefix}{key}.'


def _checked(config, values, source, prefix):
  """Returns the values with sequences as tuples, or raises an InputError."""
  annotations = _annotations(type(config))
  # Not as_dict(): a one-of configuration hides the fields it does not use.
  fields = [field.name for field in dataclasses.fields(config)]
  known = fields
  if isinstance(config, NetworkConfig):
    values = config.spelled_out(values)
    choice = values.get('architecture')
    kind = choice.get('type') if isinstance(choice, dict) else None
    known = fields + config.short_names(kind)
  checked = {}
  for key, value in values.items():
    name = f'{prefix}{key}'
    if key not in fields:
      is_adam = 'adam' in str(value) and 'train_data' not in name
      hint = ADAM if is_adam else _meant(config, str(key), known)
      raise _unknown(name, value, source, known, hint)
    field = getattr(config, key)
    if isinstance(field, hyperparams.Config):
      if not isinstance(value, dict):
        raise InputError(
          f'{name} in {source}',
          value,
          'a mapping of ' + ', '.join(field.as_dict()),
          ADAM if name.startswith('trainer.optimizer_config') else '',
        )
      inner = inner_prefix(prefix, key, field)
      checked[key] = _checked(field, value, source, inner)
      continue
    try:
      checked[key] = _typed(value, annotations[key])
    except TypeError as error:
      raise InputError(
        f'{name} in {source}', value, _type_name(annotations[key])
      ) from error
  return checked


def _meant(config: hyperparams.Config, key: str, known: Sequence[str]) -> str:
  """Returns a question whether a similar known name was meant."""
  if isinstance(config, ExperimentConfig):
    # Users easily leave out the groups of a value.
    groups = ('task', 'task.model', 'task.train_data', 'task.objective')
    for group in (*groups, 'trainer', 'evaluation', 'runtime'):
      if key in operator.attrgetter(group)(config).as_dict():
        return f"did you mean '{group}.{key}'?"
  return errors.nearest(key, known)


def _unknown(name, value, source, known, hint) -> InputError:
  """Returns the error for a name that a configuration does not have."""
  names = ', '.join(known)
  return InputError(
    f'{name} in {source}',
    value,
    f'a known name: {names}',
    hint,
    message=f'{source} has an unknown name, {name}; known names are {names}',
  )


def _typed(value: Any, annotation: Any) -> Any:
  """Returns a value from YAML in the type of its annotation.

  Sequences become tuples. 1e-4, which YAML reads as text, becomes a number.

  Raises:
    TypeError: If the value has another type.
  """
  value = models.plain_value(value)
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  if origin in (typing.Union, types.UnionType):
    for argument in arguments:
      with contextlib.suppress(TypeError):
        return _typed(value, argument)
  elif origin is tuple:
    if isinstance(value, (list, tuple)):
      return tuple(_typed(element, arguments[0]) for element in value)
  elif annotation is float:
    # Whole numbers are fine; truth values, infinity and NaN are not.
    with contextlib.suppress(TypeError, ValueError):
      if not isinstance(value, bool) and math.isfinite(float(value)):
        return float(value) if isinstance(value, str) else value
  elif not isinstance(annotation, type):
    return tuple(value) if isinstance(value, list) else value
  elif type(value) is annotation:
    return value
  raise TypeError(value)


def _type_name(annotation: Any) -> str:
  """Returns words for the values of a type annotation."""
  arguments = typing.get_args(annotation)
  if typing.get_origin(annotation) is tuple:
    return f'a list, each element {_type_name(arguments[0])}'
  if arguments:
    return ' or '.join(map(_type_name, arguments))
  return _TYPE_NAMES.get(annotation, getattr(annotation, '__name__', 'a value'))
