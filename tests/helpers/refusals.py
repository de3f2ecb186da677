"""Asserts what is refused by its fields, whatever the message says."""

import contextlib

from uncertainty_distill.errors import InputError

import pytest

_ANY = object()


@contextlib.contextmanager
def refused(name, value=_ANY, expected=''):
  """Asserts that an InputError comes, whose message is one line.

  Args:
    name: Its `name`.
    value: Its `value`; by default any.
    expected: Text that its `expected` contains, for what this alone tells.

  Yields:
    pytest's account of the exception, whose `value` is the error.
  """
  with pytest.raises(InputError) as caught:
    yield caught
  error = caught.value
  assert error.name == name, error
  assert value is _ANY or error.value == value, error
  assert expected in error.expected, error
  assert '\n' not in str(error)
