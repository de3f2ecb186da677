"""Imports put off until something of the module is used.

Some libraries import others that most runs never use, and that take longer to
import than all of this package.
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
  """Stands in for a module, and imports it for the first attribute."""

  def __getattr__(self, name: str) -> Any:
    # Called only for what a bare module lacks. Of two threads, the second
    # must not take away what the first is importing.
    if sys.modules.get(self.__name__) is self:
      del sys.modules[self.__name__]
    return getattr(importlib.import_module(self.__name__), name)


def defer(name: str) -> None:
  """Has a module imported no sooner than something of it is used.

  Unlike `importlib.util.LazyLoader`'s, the module is not imported by another
  `import` of it either, which is what the libraries at issue begin with.

  Args:
    name: Its full name; left alone if it is imported, or not installed.
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
  """Within it, `from NAME import FUNCTION` does not import the module.

  What is imported in this way imports the module when it is called.

  Args:
    name: The module's full name; left alone if it is imported.
    functions: Their names; there is nothing else in the module until the end.
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
  """Imports a module, and calls a function of it."""
  return getattr(importlib.import_module(name), function)(*args, **kwargs)
