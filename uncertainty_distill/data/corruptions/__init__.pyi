"""The names that this package offers, for type checkers and `__init__.py`."""

from .apply import check_frost as check_frost
from .apply import check_image_shape as check_image_shape
from .apply import check_seed as check_seed
from .apply import corrupt as corrupt
from .constants import choose_benchmark as choose_benchmark
from .corruption_types import CLEAN as CLEAN
from .corruption_types import EXTRA as EXTRA
from .corruption_types import SEVERITIES as SEVERITIES
from .corruption_types import STANDARD as STANDARD
from .corruption_types import Corruption as Corruption
from .corruption_types import Shift as Shift
from .corruption_types import parse_corruptions as parse_corruptions
from .corruption_types import shifts as shifts
