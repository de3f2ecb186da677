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
  ModelConfig,
  ObjectiveConfig,
  RuntimeConfig,
  TaskConfig,
  TrainerConfig,
)
from uncertainty_distill.configs.parsing import (
  load_config,
  override,
  override_by_text,
  read_yaml,
)
from uncertainty_distill.configs.registry import experiment_names
from uncertainty_distill.configs.resolution import (
  batches_per_epoch,
  member_config,
  resolve,
  without_teacher,
)
from uncertainty_distill.configs.search_draws import default_run, search_run
from uncertainty_distill.configs.teacher_config import (
  SearchConfig,
  TeacherConfig,
)
