"""The public names of this package, for type checkers and `__init__.py`."""

from .deep_ensemble import complete_members as complete_members
from .deep_ensemble import member_paths as member_paths
from .deep_ensemble import teacher_paths as teacher_paths
from .deep_ensemble import train_teacher as train_teacher
from .distillation import distill as distill
from .distillation import train as train
from .initialization import check_initialization as check_initialization
from .jobs import TrainingJob as TrainingJob
from .jobs import teacher_tasks as teacher_tasks
from .jobs import train_members as train_members
from .jobs import training_cost as training_cost
from .jobs import training_task as training_task
from .opened_experiment import Experiment as Experiment
from .opened_experiment import open_experiment as open_experiment
from .opened_experiment import resolve as resolve
from .task import ClassificationTask as ClassificationTask
from .teacher import check_teacher as check_teacher
from .teacher import teacher_size as teacher_size
from .tensorboard import tag as tag
from .tensorboard import write_confidence as write_confidence
from .tensorboard import write_scalar as write_scalar
from .underfitting import describe_underfitting as describe_underfitting
from .underfitting import teacher_cross_entropies as teacher_cross_entropies
