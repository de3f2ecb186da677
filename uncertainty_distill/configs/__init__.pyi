"""The public names of this package, for type checkers and `__init__.py`."""

from .data_config import REST as REST
from .data_config import TrainDataConfig as TrainDataConfig
from .data_config import ValidationDataConfig as ValidationDataConfig
from .data_config import is_path as is_path
from .experiment import FROM_TEACHER as FROM_TEACHER
from .experiment import EvaluationConfig as EvaluationConfig
from .experiment import ExperimentConfig as ExperimentConfig
from .experiment import ObjectiveConfig as ObjectiveConfig
from .experiment import ResolvedConfig as ResolvedConfig
from .experiment import RuntimeConfig as RuntimeConfig
from .experiment import TaskConfig as TaskConfig
from .experiment import TrainerConfig as TrainerConfig
from .experiment import is_baseline_path as is_baseline_path
from .given_values import set_names as set_names
from .given_values import warn_of_unused as warn_of_unused
from .given_values import (
  warn_of_unused_by_evaluation as warn_of_unused_by_evaluation,
)
from .model_config import ModelConfig as ModelConfig
from .parsing import ADAM as ADAM
from .parsing import load_config as load_config
from .parsing import override as override
from .parsing import override_by_text as override_by_text
from .parsing import read_yaml as read_yaml
from .registry import experiment_names as experiment_names
from .resolution import batches_per_epoch as batches_per_epoch
from .resolution import default_run as default_run
from .resolution import make_datasets_absolute as make_datasets_absolute
from .resolution import member_config as member_config
from .resolution import resolve as resolve
from .resolution import search_run as search_run
from .standalone import standalone_config as standalone_config
from .teacher_config import SearchConfig as SearchConfig
from .teacher_config import TeacherConfig as TeacherConfig
