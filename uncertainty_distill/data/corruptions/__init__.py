"""The 19 corruptions of CIFAR-10-C, computed by their formulas."""

from uncertainty_distill.data.corruptions.apply import (
  check_frost,
  check_image_shape,
  check_seed,
  corrupt,
)
from uncertainty_distill.data.corruptions.corruption_types import (
  CLEAN,
  EXTRA,
  SEVERITIES,
  STANDARD,
  Corruption,
  Shift,
  parse_corruptions,
  shifts,
)
