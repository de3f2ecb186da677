"""The errors that the commands print in one line, and the fields they carry."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Sequence
from typing import Any

# A value may be a whole file, or may be endless because of YAML's aliases.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 400
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 12
_SHORT.maxlevel = 4


class _Error(Exception):
  """An error that a process can send to another, with all of its fields."""

  def __reduce__(self) -> tuple[Any, ...]:
    return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[_Error], args: tuple, fields: dict) -> _Error:
  error = kind.__new__(kind, *args)
  error.__dict__.update(fields)
  return error


class InputError(_Error, ValueError):
  """A mistake in something that the user gave.

  A message has the parameters of public functions in backticks. The commands
  show the flags that these parameters come from instead.

  Attributes:
    name: What is at fault: a parameter, a config value, a file or a tensor.
    value: The value that was given.
    expected: What the value must be, as a noun phrase.
    hint: What to do, if `expected` does not say so; may be empty.

  Examples:
    >>> try:
    ...   ud.load_dataset('digits', split='tests')
    ... except ud.InputError as error:
    ...   print(error.name, error.value, error.expected, sep=' / ')
    split / tests / one of train, test
  """

  def __init__(
    self,
    name: str,
    value: object,
    expected: str,
    hint: str = '',
    *,
    message: str = '',
  ):
    """Builds the error.

    Args:
      name: See the class.
      value: See the class; the message shows the beginning of a long value.
      expected: See the class.
      hint: See the class.
      message: A sentence in place of "NAME must be EXPECTED, not VALUE", for
        mistakes that these words do not describe well.
    """
    self.name = name
    self.value = value
    self.expected = expected
    self.hint = hint
    shown = f'`{name}`' if name.isidentifier() else name
    text = message or f'{shown} must be {expected}, not {_SHORT.repr(value)}'
    super().__init__(f'{text}; {hint}' if hint else text)


def nearest(name: str, names: Sequence[str]) -> str:
  """Returns a question whether the most similar name was meant, or ''."""
  near = difflib.get_close_matches(name, names, 1, 0.5)
  return f'did you mean {near[0]!r}?' if near else ''


class DivergedError(_Error, ArithmeticError):
  """Training produced non-finite numbers (inf or NaN).

  Attributes:
    what: Which number of which run is non-finite.
    step: The first training step, from 1 on, at which the number is known to be
      non-finite; None if the error is about several runs.
  """

  def __init__(self, what: str, step: int | None = None, hint: str = ''):
    """Builds the message `WHAT at step STEP; HINT`.

    Args:
      what: See the class.
      step: See the class.
      hint: What happens next, or what to do.
    """
    self.what = what
    self.step = step
    place = '' if step is None else f' at step {step}'
    super().__init__(f'{what}{place}' + (f'; {hint}' if hint else ''))


def first_line(error: BaseException) -> str:
  """Returns the first line of another library's message, at most 200 letters.

  If the message is empty, this is the name of the error's class.
  """
  text = str(getattr(error, 'message', error)).strip()
  return (text or type(error).__name__).splitlines()[0][:200]
