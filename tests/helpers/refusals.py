"""Asserts refusals by the fields of the error, whatever the message says."""

import contextlib

from uncertainty_distill.errors import InputError

import pytest

_ANY = object()


@contextlib.contextmanager
def refused(name, value=_ANY, expected=''):
  """Asserts that an InputError is raised and that its message is one line.

  Args:
    name: The error's `name`.
    value: The error's `value`; by default, any value is right.
    expected: A text that the error's `expected` contains, for errors that only
      this field tells apart.

  Yields:
    pytest's information on the exception; its `value` is the error.
  """
  with pytest.raises(InputError) as caught:
    yield caught
  error = caught.value
  assert error.name == name, error
  assert value is _ANY or error.value == value, error
  assert expected in error.expected, error
  assert '\n' not in str(error)
