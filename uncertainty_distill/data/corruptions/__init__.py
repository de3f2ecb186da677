"""The 19 corruptions of CIFAR-10-C, made by formula."""

from uncertainty_distill.data.corruptions.apply import check_image_shape
from uncertainty_distill.data.corruptions.apply import corrupt
from uncertainty_distill.data.corruptions.types import CLEAN
from uncertainty_distill.data.corruptions.types import Corruption
from uncertainty_distill.data.corruptions.types import EXTRA
from uncertainty_distill.data.corruptions.types import parse_corruptions
from uncertainty_distill.data.corruptions.types import SEVERITIES
from uncertainty_distill.data.corruptions.types import Shift
from uncertainty_distill.data.corruptions.types import shifts
from uncertainty_distill.data.corruptions.types import STANDARD

__all__ = [
    'CLEAN',
    'Corruption',
    'EXTRA',
    'SEVERITIES',
    'STANDARD',
    'Shift',
    'check_image_shape',
    'corrupt',
    'parse_corruptions',
    'shifts',
]
