"""From names, files and overrides to a checked configuration.

Model Garden's parser takes values of any type; here every key must exist and
every value must be of the type that its field says.
"""

from __future__ import annotations

import dataclasses
import math
import os
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import errors
from uncertainty_distill.configs import registry, strict_yaml
from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import yaml
from official.core import exp_factory
from official.modeling import hyperparams
from official.modeling.hyperparams import params_dict


def load_config(
  experiment: str,
  config_files: Sequence[str] = (),
  params_override: str = '',
) -> ExperimentConfig:
  """Returns a registered experiment with overrides, the last one winning.

  Args:
    experiment: Its registered name.
    config_files: YAML files of overrides.
    params_override: More overrides, as `task.seed=1,trainer.epochs=5` or YAML.

  Raises:
    InputError: If the name, a file, a key or a value's type is wrong.
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
  for path in config_files:
    override(config, read_yaml(path, 'config_file'), path)
  override_by_text(config, params_override)
  return config


def override(
  config: hyperparams.Config, values: Mapping[str, Any], source: str
) -> None:
  """Overrides fields in place.

  Args:
    config: Any configuration of this package.
    values: A nested mapping of field names to values.
    source: Where they come from, for the message of an error.

  Raises:
    InputError: If a key is unknown or a value is of another type.
  """
  config.override(_checked(config, values, source, ''), is_strict=True)


def read_yaml(path: str, argument: str) -> dict[str, Any]:
  """Reads a YAML file whose top level is a mapping, safely.

  Args:
    path: Of the file.
    argument: The flag that it comes from, for the message of an error.

  Raises:
    InputError: If the file is missing or is something else.
  """
  try:
    values = strict_yaml.load(files.read_text(path))
  except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
    reason = ' '.join(str(error).split())
    raise InputError(
      argument, path, 'a readable YAML file', f'mend it ({reason})'
    ) from error
  if not isinstance(values, dict):
    raise InputError(
      argument, path, f'a YAML mapping, not {type(values).__name__}'
    )
  return values


def override_by_text(config: hyperparams.Config, text: str) -> None:
  """Overrides fields in place by `--params_override`.

  Args:
    config: Any configuration of this package.
    text: As `a.b=1,c=2`, which Model Garden reads, or YAML; may be empty.

  Raises:
    InputError: If it is neither, a key is unknown, or a value is of another
      type.
  """
  if not text:
    return
  source = 'params_override'
  try:
    if '=' in text:
      # Of pairs, unlike of a file's keys, the last one wins.
      values = yaml.safe_load(params_dict.nested_csv_str_to_json_str(text))
    else:
      values = strict_yaml.load(text)
  except (ValueError, RecursionError, yaml.YAMLError):
    values = None
  if not isinstance(values, dict):
    raise InputError(
      source,
      text,
      'key=value pairs such as trainer.epochs=5,task.model.width=2, or YAML',
    )
  override(config, values, source)


def _checked(config, values, source, prefix):
  """Returns the values with sequences as tuples, or raises an InputError."""
  annotations = typing.get_type_hints(type(config))
  # Not as_dict(): a one-of configuration hides the fields it does not use.
  known = [field.name for field in dataclasses.fields(config)]
  checked = {}
  for key, value in values.items():
    name = f'{prefix}{key}'
    if key not in known:
      raise InputError(
        f'{name} in {source}',
        value,
        'a known name: ' + ', '.join(known),
        errors.nearest(str(key), known),
      )
    field = getattr(config, key)
    if isinstance(field, hyperparams.Config):
      if not isinstance(value, dict):
        raise InputError(
          f'{name} in {source}',
          value,
          'a mapping of ' + ', '.join(field.as_dict()),
        )
      checked[key] = _checked(field, value, source, f'{name}.')
      continue
    value = _plain(value, annotations[key])
    if not _is_of_type(value, annotations[key]):
      raise InputError(
        f'{name} in {source}', value, _type_name(annotations[key])
      )
    checked[key] = value
  return checked


def _plain(value: Any, annotation: Any) -> Any:
  """Undoes what YAML reads in its own way: sequences, and 1e-4 as text."""
  if isinstance(value, list):
    arguments = typing.get_args(annotation)
    return tuple(_plain(v, arguments[0] if arguments else None) for v in value)
  if annotation is float and isinstance(value, str):
    try:
      return float(value)
    except ValueError:
      return value
  return value


def _is_of_type(value: Any, annotation: Any) -> bool:
  """Tells whether a plain value fits a type annotation."""
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  if origin in (typing.Union, types.UnionType):
    return any(_is_of_type(value, argument) for argument in arguments)
  if origin is tuple:
    return isinstance(value, tuple) and all(
      _is_of_type(element, arguments[0]) for element in value
    )
  if annotation is float:
    # Whole numbers are fine, truth values, infinity and NaN are not.
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)
  if annotation is int:
    return isinstance(value, int) and not isinstance(value, bool)
  return not isinstance(annotation, type) or isinstance(value, annotation)


def _type_name(annotation: Any) -> str:
  if annotation is float:
    return 'a finite float'
  return (
    getattr(annotation, '__name__', '')
    if typing.get_origin(annotation) is None
    else str(annotation).replace('typing.', '')
  )
