"""Delays the imports of libraries by other libraries.

Some libraries import others that most runs never use, and that take longer to
import than all of this package. lazy_loader delays imports of our own alone:
what it has loaded lazily is imported by any other import of it or of a part.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any


class _Deferred(types.ModuleType):
  """A module that is imported when it is asked for an attribute."""

  def __getattr__(self, name: str) -> Any:
    # Python calls this only for attributes that are missing. Of two threads,
    # the second must not remove what the first is importing.
    if sys.modules.get(self.__name__) is self:
      del sys.modules[self.__name__]
    return getattr(importlib.import_module(self.__name__), name)


def defer(name: str) -> None:
  """Delays the import of a module until an attribute of it is used.

  Args:
    name: The module's full name. A module that is imported already, or is not
      installed, is left alone.
  """
  if name in sys.modules:
    return
  spec = importlib.util.find_spec(name)
  if spec is None:
    return
  module = _Deferred(name)
  module.__spec__ = spec
  # `inspect` asks every module where it is from.
  module.__file__ = spec.origin
  sys.modules[name] = module


@contextlib.contextmanager
def deferred_functions(name: str, functions: Sequence[str]) -> Iterator[None]:
  """Has `from NAME import FUNCTION` import the module at the first call.

  Args:
    name: The module's full name. A module that is imported already is left
      alone.
    functions: The names of all that can be imported from it within.
  """
  if name in sys.modules:
    yield
    return
  module = types.ModuleType(name)
  for function in functions:
    setattr(module, function, functools.partial(_call, name, function))
  sys.modules[name] = module
  try:
    yield
  finally:
    del sys.modules[name]


def _call(name: str, function: str, *args: Any, **kwargs: Any) -> Any:
  """Imports a module and calls a function of it."""
  return getattr(importlib.import_module(name), function)(*args, **kwargs)
