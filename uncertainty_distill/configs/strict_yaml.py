"""YAML as data alone: safely loaded, each key once, nothing in itself."""

from __future__ import annotations

from typing import Any

import yaml


def load(text: str) -> Any:
  """Returns what YAML text holds.

  Args:
    text: Of one document.

  Raises:
    yaml.YAMLError: It is no YAML, wants Python objects made, has a key twice
      in a mapping, or a value that contains itself or is nested too deep.
  """
  try:
    return yaml.load(text, _Loader)
  except RecursionError as error:
    raise yaml.YAMLError('it is nested too deep') from error
  except ValueError as error:
    # As of a date that looks like one, 2020-99-99.
    raise yaml.YAMLError(str(error)) from error


class _Loader(yaml.SafeLoader):
  """PyYAML's safe loader, which would let the last of two equal keys win."""

  def compose_node(self, parent, index):
    if self.check_event(yaml.AliasEvent):
      event = self.peek_event()
      node = self.anchors.get(event.anchor)
      # A collection that is still open has no end yet.
      if isinstance(node, yaml.CollectionNode) and node.end_mark is None:
        raise yaml.constructor.ConstructorError(
          None, None, f'*{event.anchor} contains itself', event.start_mark
        )
    return super().compose_node(parent, index)

  def construct_mapping(self, node, deep=False):
    seen = set()
    # Before merge keys (<<) are resolved: what they bring may be overridden.
    for key_node, _ in node.value:
      key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
      if key in seen:
        raise yaml.constructor.ConstructorError(
          None, None, f'the key {key!r} is there twice', key_node.start_mark
        )
      if key is not None and key != '<<':
        seen.add(key)
    return super().construct_mapping(node, deep)
