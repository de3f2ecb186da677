"""JSON that knows its own checksum, so that a changed number is found out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_KEY = 'sha256'


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
  """Returns an object with the SHA-256 of its other members as `sha256`.

  Args:
    content: What JSON can hold. How it is laid out in a file is no part of the
      checksum.
  """
  return {**content, _KEY: _digest(content)}


def check(content: Mapping[str, Any], required: bool = True) -> None:
  """Checks what was read of an object that was sealed.

  Args:
    content: All of it.
    required: Whether there must be a checksum: older files have none.

  Raises:
    ValueError: If it is not as it was written.
  """
  if _KEY not in content and not required:
    return
  others = {key: value for key, value in content.items() if key != _KEY}
  if content.get(_KEY) != _digest(others):
    raise ValueError('its SHA-256 is not that of what was written')


def _digest(content: Mapping[str, Any]) -> str:
  # Read once, so that a tuple is a list and a key a string, as after reading.
  plain = json.loads(json.dumps(content))
  text = json.dumps(plain, sort_keys=True, separators=(',', ':'))
  return hashlib.sha256(text.encode()).hexdigest()
