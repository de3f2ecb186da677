"""Experiment configurations: dataclasses, registered experiments, parsing."""

from uncertainty_distill.runtime import lazy_imports

# All of official.core is imported at once, with an input reader that imports
# TFDS; this package reads datasets in its own way, and some need no TFDS.
lazy_imports.defer('tensorflow_datasets')

from uncertainty_distill.configs.data_config import (
  TrainDataConfig,
  ValidationDataConfig,
)
from uncertainty_distill.configs.experiment import (
  FROM_TEACHER,
  EvaluationConfig,
  ExperimentConfig,
  ObjectiveConfig,
  ResolvedConfig,
  RuntimeConfig,
  TaskConfig,
  TrainerConfig,
)
from uncertainty_distill.configs.given_values import (
  set_names,
  warn_of_unused,
  warn_of_unused_by_evaluation,
  without_teacher,
)
from uncertainty_distill.configs.model_config import ModelConfig
from uncertainty_distill.configs.parsing import (
  ADAM,
  load_config,
  override,
  override_by_text,
  read_yaml,
)
from uncertainty_distill.configs.registry import experiment_names
from uncertainty_distill.configs.resolution import (
  batches_per_epoch,
  default_run,
  make_datasets_absolute,
  member_config,
  resolve,
  search_run,
)
from uncertainty_distill.configs.teacher_config import (
  SearchConfig,
  TeacherConfig,
)
