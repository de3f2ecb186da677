"""The one exception for a user's mistake: one line that says what to do."""

from __future__ import annotations


class InputError(ValueError):
  """Something that the user gave is wrong; the commands print it in one line.

  Attributes:
    argument: The name of the flag, config value, file or tensor at fault.
  """

  def __init__(self, argument: str, got: object, wants: str, todo: str = ''):
    """Builds the message `argument: got X, wants Y; do Z`.

    Args:
      argument: The name of what is wrong.
      got: The value that was given; shown by `repr`, strings included.
      wants: What would have been right.
      todo: What to do about it, where `wants` does not already say it.
    """
    self.argument = argument
    message = f'{argument}: got {got!r}, wants {wants}'
    super().__init__(message + (f'; {todo}' if todo else ''))
