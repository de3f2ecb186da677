"""Escapes text from elsewhere so that Markdown shows it unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The characters that have a meaning for CommonMark and its tables within a
# line. Underscores between letters, as in paths and names, have none.
_SPECIAL = re.compile(r'[\\`*\[\]<>&|~]|(?<![^\W_])_|_(?![^\W_])')
_SHORTEST_FENCE = 3


def escaped(text: str) -> str:
  """Returns a text, such as a title, as Markdown that shows it in one line."""
  return _SPECIAL.sub(r'\\\g<0>', ' '.join(text.split()))


def code_block(lines: Sequence[str]) -> str:
  """Returns lines, such as commands, as a block that shows them as they are."""
  text = '\n'.join(lines)
  longest = max(map(len, re.findall('`+', text)), default=0)
  fence = '`' * max(_SHORTEST_FENCE, longest + 1)
  return f'{fence}\n{text}\n{fence}'
