"""From a configuration to a trained run folder."""

from uncertainty_distill.training.deep_ensemble import (
  member_paths,
  teacher_paths,
  train_teacher,
  trained_teacher,
)
from uncertainty_distill.training.distillation import distill, train
from uncertainty_distill.training.initialization import check_initialization
from uncertainty_distill.training.opened_experiment import (
  Experiment,
  open_experiment,
  resolve,
)
from uncertainty_distill.training.task import ClassificationTask
from uncertainty_distill.training.teacher import check_teacher, teacher_size
from uncertainty_distill.training.tensorboard import (
  tag,
  write_confidence,
  write_scalar,
)
