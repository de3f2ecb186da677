"""What the commands print in one line: mistakes, and numbers gone bad."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Sequence

# A value may be a whole file, or one that YAML's aliases make endless.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 400
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 12
_SHORT.maxlevel = 4


class InputError(ValueError):
  """Something that the user gave is wrong; the commands print it in one line.

  Attributes:
    argument: The name of the flag, config value, file or tensor at fault.
  """

  def __init__(self, argument: str, got: object, wants: str, todo: str = ''):
    """Builds the message `argument: got X, wants Y; do Z`.

    Args:
      argument: The name of what is wrong.
      got: The value that was given; shown by `repr`, strings included,
        and cut short where it is long.
      wants: What would have been right.
      todo: What to do about it, where `wants` does not already say it.
    """
    self.argument = argument
    message = f'{argument}: got {_SHORT.repr(got)}, wants {wants}'
    super().__init__(message + (f'; {todo}' if todo else ''))


def nearest(name: str, names: Sequence[str]) -> str:
  """Returns a question about the most similar of some names, if any is."""
  near = difflib.get_close_matches(name, names, 1, 0.5)
  return f'did you mean {near[0]!r}?' if near else ''


class DivergedError(ArithmeticError):
  """Training came to numbers that are infinite or none.

  Attributes:
    what: Which number of which run is bad.
    step: The first training step, from 1 on, at which it is known to be; None
      where this is about several runs.
  """

  def __init__(self, what: str, step: int | None = None, then: str = ''):
    """Builds the message `WHAT at step STEP; THEN`.

    Args:
      what: See the class.
      step: See the class.
      then: What comes of it.
    """
    self.what = what
    self.step = step
    place = '' if step is None else f' at step {step}'
    super().__init__(f'{what}{place}' + (f'; {then}' if then else ''))
