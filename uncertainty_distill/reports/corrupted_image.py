"""Shows what the corruptions look like, by one test image under each."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from uncertainty_distill import plots
from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.io import files
from uncertainty_distill.reports import array_cache

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class CorruptedImage:
  """The first image of a test set under S shifts.

  Attributes:
    types: Strings [S], the corruptions' published names. The clean image is the
      first; its string is empty.
    severities: Integers [S], 0 for the clean image.
    images: uint8 [S, H, W, C].
  """

  types: np.ndarray
  severities: np.ndarray
  images: np.ndarray


def find(
  source: corrupted_sets.CorruptedSet, shifts: Sequence[corruptions.Shift]
) -> CorruptedImage:
  """Returns the first image of a corrupted test set, clean and under shifts.

  Raises:
    InputError: The images cannot be read or made.
  """
  first = np.arange(1)
  return CorruptedImage(
    types=np.array(
      [s.corruption.value if s.corruption else '' for s in shifts]
    ),
    severities=np.array([shift.severity for shift in shifts]),
    images=np.concatenate([source.images(shift, first) for shift in shifts]),
  )


def sections(found: CorruptedImage, directory: str) -> list[str]:
  """Draws the images, and returns the sections in Markdown that show them.

  Args:
    found: The result of `find`.
    directory: The folder for `images/contrast.png` and so on.

  Returns:
    A heading, an explanation and the pictures; nothing without corruptions.

  Raises:
    OSError: A picture cannot be written.
  """
  types = [name for name in dict.fromkeys(found.types.tolist()) if name]
  if not types:
    return []
  files.make_folder(os.path.join(directory, array_cache.FOLDER))
  shown = []
  for name in types:
    # The clean image stands before the images of each type, for comparison.
    chosen = np.isin(found.types, ['', name])
    severities = found.severities[chosen].tolist()
    picture = f'{array_cache.FOLDER}/{name}.png'
    plots.save(
      plots.severity_strip(name, severities, found.images[chosen]),
      os.path.join(directory, picture),
    )
    of = ', '.join(str(severity) for severity in severities if severity)
    shown.append(f'![{plots.display_name(name)} of severity {of}]({picture})')
  return [
    '## What the corruptions look like',
    'The first test image, as it is and under each type of corruption at each'
    ' severity.',
    '\n'.join(shown),
  ]
