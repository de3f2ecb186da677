"""Ranges of values, each with a test and with words for an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from uncertainty_distill.errors import InputError


@dataclasses.dataclass(frozen=True)
class Range:
  """The values that a field or an argument may have.

  Attributes:
    contains: A function that returns whether a value of the right type is in
      the range.
    expected: What the values are, as a noun phrase.
  """

  contains: Callable[[Any], bool]
  expected: str

  def check(self, name: str, value: Any) -> None:
    """Raises an InputError about `name` unless the value is in the range."""
    if not self.contains(value):
      raise InputError(name, value, self.expected)


POSITIVE = Range(lambda x: x > 0, 'more than 0')
NOT_NEGATIVE = Range(lambda x: x >= 0, 'at least 0')
AT_LEAST_1 = Range(lambda x: x >= 1, 'at least 1')
FRACTION = Range(lambda x: 0 <= x <= 1, 'from 0 to 1')
BELOW_1 = Range(lambda x: 0 <= x < 1, 'at least 0 and less than 1')
FACTOR = Range(lambda x: 0 < x <= 1, 'more than 0 and at most 1')
SEED = Range(lambda x: 0 <= x < 2**32, 'at least 0 and less than 2^32')

# Names that configurations, commands and data share: datasets that need no
# path, ways to bring a picture to a model's size, and benchmarks whose
# constants the corruptions use.
DATASETS = 'cifar10', 'cifar100', 'digits'
IMAGE_FITS = 'resize', 'crop', 'pad'
BENCHMARKS = 'cifar_c', 'imagenet_c'


def one_of(*values: Any) -> Range:
  """Returns the range of a few values."""
  return Range(lambda x: x in values, 'one of ' + ', '.join(map(str, values)))


ANY = Range(lambda x: True, 'anything')


def field(default: Any, allowed: Range = ANY, **metadata: Any) -> Any:
  """Returns a dataclass' field with its range.

  Args:
    default: The value if none is given.
    allowed: The range, for `check_fields`.
    **metadata: More metadata of the field.
  """
  return dataclasses.field(
    default=default, metadata={'range': allowed, **metadata}
  )


def check_fields(instance: Any, prefix: str = '') -> None:
  """Raises an InputError for the first field of a dataclass out of its range.

  Args:
    instance: The dataclass; fields without a range are not checked.
    prefix: The text before the field's name in an error.
  """
  for each in dataclasses.fields(instance):
    if 'range' in each.metadata:
      allowed = each.metadata['range']
      allowed.check(f'{prefix}{each.name}', getattr(instance, each.name))
