"""What identifies a set of corrupted images: the corruption and its severity.

Both are values that can be compared, sorted and used as keys.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Sequence

from uncertainty_distill import errors

SEVERITIES = (1, 2, 3, 4, 5)


class Corruption(enum.Enum):
  """A kind of corruption; its value is its published name.

  The members are in the published order: the standard corruptions (noise, blur,
  weather, digital), then the extra ones.
  """

  GAUSSIAN_NOISE = 'gaussian_noise'
  SHOT_NOISE = 'shot_noise'
  IMPULSE_NOISE = 'impulse_noise'
  DEFOCUS_BLUR = 'defocus_blur'
  GLASS_BLUR = 'glass_blur'
  MOTION_BLUR = 'motion_blur'
  ZOOM_BLUR = 'zoom_blur'
  SNOW = 'snow'
  FROST = 'frost'
  FOG = 'fog'
  BRIGHTNESS = 'brightness'
  CONTRAST = 'contrast'
  ELASTIC_TRANSFORM = 'elastic_transform'
  PIXELATE = 'pixelate'
  JPEG_COMPRESSION = 'jpeg_compression'
  SPECKLE_NOISE = 'speckle_noise'
  GAUSSIAN_BLUR = 'gaussian_blur'
  SPATTER = 'spatter'
  SATURATE = 'saturate'

  @classmethod
  def parse(cls, name: str) -> Corruption:
    """Returns the corruption that has a published name.

    Args:
      name: The published name, such as `gaussian_noise`.

    Raises:
      InputError: If no corruption has that name.
    """
    names = [corruption.value for corruption in cls]
    if name in names:
      return cls(name)
    raise errors.InputError(
      'corruption',
      name,
      'one of ' + ', '.join(names),
      errors.nearest(str(name), names),
    )


# Published means cover the standard corruptions; the extra ones are for tuning.
STANDARD = tuple(Corruption)[:15]
EXTRA = tuple(Corruption)[15:]

_GROUPS = {'standard': STANDARD, 'extra': EXTRA, 'all': STANDARD + EXTRA}


def parse_corruptions(names: Sequence[str]) -> tuple[Corruption, ...]:
  """Returns the corruptions that names stand for, each once.

  Args:
    names: Published names, `standard` for the standard corruptions, `extra` for
      the extra ones, `all` for both.

  Raises:
    InputError: If a name is none of these.
  """
  kinds = [
    kind
    for name in names
    for kind in _GROUPS.get(name) or [Corruption.parse(name)]
  ]
  return tuple(dict.fromkeys(kinds))


@functools.total_ordering
@dataclasses.dataclass(frozen=True)
class Shift:
  """How test images differ from training images: by a corruption or not at all.

  Shifts sort by corruption, in the order of the enum, then by severity; clean
  images come first.

  Attributes:
    corruption: The kind of corruption; None for clean images.
    severity: 1 (least) to 5 (most); 0 for clean images.

  Raises:
    InputError: If the corruption is of another type, or if the severity does
      not fit it.
  """

  corruption: Corruption | None
  severity: int

  def __post_init__(self) -> None:
    if not isinstance(self.corruption, (Corruption, type(None))):
      raise errors.InputError(
        'corruption',
        self.corruption,
        'a Corruption, or None for clean images',
      )
    severity = self.severity
    # True == 1 and 1.0 == 1, so membership alone would let both pass.
    known = SEVERITIES if self.corruption else (0,)
    if type(severity) is not int or severity not in known:
      expected = (
        f'an integer from {SEVERITIES[0]} to {SEVERITIES[-1]} '
        f'for {self.corruption.value}'
        if self.corruption
        else '0 for clean images'
      )
      raise errors.InputError('severity', severity, expected)

  def __lt__(self, other: object) -> bool:
    if not isinstance(other, Shift):
      return NotImplemented
    return self._rank < other._rank

  @property
  def _rank(self) -> tuple[int, int]:
    kinds = [None, *Corruption]
    return kinds.index(self.corruption), self.severity

  @property
  def label(self) -> str:
    """The name for display: `clean` or, for example, `gaussian_noise/3`."""
    if self.corruption is None:
      return 'clean'
    return f'{self.corruption.value}/{self.severity}'


CLEAN = Shift(None, 0)


def shifts(
  corruptions: Sequence[Corruption] = tuple(Corruption),
  severities: Sequence[int] = SEVERITIES,
) -> list[Shift]:
  """Returns each corruption at each severity, corruption by corruption.

  `CLEAN` is not among them.

  Args:
    corruptions: The kinds of corruption.
    severities: Integers from 1 to 5.

  Raises:
    InputError: If a severity is out of range.
  """
  return [
    Shift(corruption, severity)
    for corruption in corruptions
    for severity in severities
  ]
