"""From a configuration to a trained run folder."""

from uncertainty_distill.training.checks import (
  check,
  check_initialization,
  check_teacher,
  resolve,
  teacher_size,
)
from uncertainty_distill.training.deep_ensemble import (
  member_config,
  member_paths,
  teacher_runs,
  train_teacher,
  trained_teacher,
)
from uncertainty_distill.training.distillation import distill, train
from uncertainty_distill.training.task import ClassificationTask
from uncertainty_distill.training.tensorboard import (
  tag,
  write_confidence,
  write_scalar,
)
