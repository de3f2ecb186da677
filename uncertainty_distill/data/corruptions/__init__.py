"""Corrupted images, made on the fly by the formulas of CIFAR-10-C."""

from uncertainty_distill.data.corruptions.apply import corrupt
from uncertainty_distill.data.corruptions.types import CLEAN
from uncertainty_distill.data.corruptions.types import Corruption
from uncertainty_distill.data.corruptions.types import SEVERITIES
from uncertainty_distill.data.corruptions.types import Shift
from uncertainty_distill.data.corruptions.types import shifts

__all__ = [
    'CLEAN',
    'Corruption',
    'SEVERITIES',
    'Shift',
    'corrupt',
    'shifts',
]
