"""The base class of this package's configurations."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any, ClassVar

from uncertainty_distill.errors import InputError

import numpy as np
from official.modeling import hyperparams

# Model Garden evaluates all annotations of a class each time that a field is
# set. This takes most of the time of reading a run folder. Annotations never
# change, so they are cached.
hyperparams.Config._get_annotations = classmethod(  # pyright: ignore[reportAttributeAccessIssue]
  functools.cache(hyperparams.Config._get_annotations.__func__)
)


@dataclasses.dataclass
class Settings(hyperparams.Config):
  """A configuration that knows which of its fields were set.

  `was_set` holds the names of the fields that were set after the configuration
  was made, by an override or in Python, even if the value did not change.
  """

  RESERVED_ATTR: ClassVar[list[str]] = [
    *hyperparams.Config.RESERVED_ATTR,
    'was_set',
  ]

  def __post_init__(self, default_params: Any, restrictions: Any) -> None:
    super().__post_init__(default_params, restrictions)
    self.forget_what_was_set()

  def forget_what_was_set(self) -> None:
    """Marks all fields as not set, including the fields of nested settings."""
    self.__dict__['was_set'] = set()
    for value in vars(self).values():
      if isinstance(value, Settings):
        value.forget_what_was_set()

  def _set(self, k: str, v: Any) -> None:
    value = plain_value(v)
    default = getattr(type(self), k, None)
    if isinstance(value, list) and isinstance(default, tuple):
      value = tuple(value)  # The two are equal in a file, but not in Python.
    try:
      super()._set(k, value)
    except TypeError as error:
      expected = 'a number, text, a truth value or a list of these'
      raise InputError(k, v, expected) from error
    self.__dict__.setdefault('was_set', set()).add(k)


def plain_value(value: Any) -> Any:
  """Turns NumPy numbers and arrays, and paths, into plain Python values."""
  if isinstance(value, np.generic | np.ndarray):
    value = value.tolist()
  if isinstance(value, list | tuple):
    return type(value)(map(plain_value, value))
  return os.fspath(value) if isinstance(value, os.PathLike) else value
