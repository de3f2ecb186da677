"""The public names of this package, for type checkers and `__init__.py`."""

from .run_folder import PARAMS_FILE as PARAMS_FILE
from .run_folder import RunFolder as RunFolder
from .run_folder import check_data as check_data
from .run_folder import claim_run as claim_run
from .run_folder import difference as difference
from .run_folder import different_data as different_data
from .run_folder import is_run as is_run
from .run_folder import make_writable as make_writable
from .run_folder import match_run as match_run
from .run_folder import note_teacher_temperature as note_teacher_temperature
from .run_folder import noted_class_names as noted_class_names
from .run_folder import noted_teacher as noted_teacher
from .run_folder import (
  noted_teacher_temperature as noted_teacher_temperature,
)
from .run_folder import noted_training_data as noted_training_data
from .run_folder import open_run as open_run
from .run_identity import map_paths as map_paths
from .run_identity import to_plain as to_plain
