"""Delays imports of this package's modules, and of libraries by libraries.

TensorFlow takes seconds to import, and Matplotlib and Model Garden take a
second each. A part of the package works even if they are not installed. Some
libraries import others that most runs never use.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import pathlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any


def attach_stub(
  package: str,
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
  """Makes a package import each of its names when the name is first used.

  lazy_loader does something similar. But it would be one more package to
  install for users who only load and predict, and it does not say what a
  missing module is for.

  Args:
    package: The full name of the package. Its names are those that the
      `__init__.pyi` beside its `__init__.py` imports by
      `from .module import name as name`. Type checkers read the same file.

  Returns:
    `__getattr__`, `__dir__` and `__all__` of the package.
  """
  module = sys.modules[package]
  stub = pathlib.Path(str(module.__file__)).with_suffix('.pyi')
  source = {
    alias.name: f'{package}.{node.module}'
    for node in ast.parse(stub.read_text()).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
  }

  def getattribute(name: str) -> Any:
    if name not in source:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    try:
      value = getattr(importlib.import_module(source[name]), name)
    except ModuleNotFoundError as error:
      raise ModuleNotFoundError(
        f'{package}.{name} needs the module {error.name}, which is not '
        "installed: install this package's dependencies as well",
        name=error.name,
      ) from error
    setattr(module, name, value)
    return value

  return getattribute, lambda: sorted(source), sorted(source)


class _Deferred(types.ModuleType):
  """A module that is imported when an attribute of it is first used."""

  def __getattr__(self, name: str) -> Any:
    # Python calls this only for attributes that are missing. If two threads get
    # here, the second must not remove the module that the first is importing.
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
  # `inspect` asks every module for its file.
  module.__file__ = spec.origin
  sys.modules[name] = module


@contextlib.contextmanager
def deferred_function(name: str, function: str) -> Iterator[None]:
  """Makes `from NAME import FUNCTION` import the module at the first call.

  Args:
    name: The module's full name. A module that is imported already is left
      alone.
    function: The one function that code within can import from it.
  """
  if name in sys.modules:
    yield
    return

  def call(*args, **kwargs):
    return getattr(importlib.import_module(name), function)(*args, **kwargs)

  module = types.ModuleType(name)
  setattr(module, function, call)
  sys.modules[name] = module
  try:
    yield
  finally:
    del sys.modules[name]
