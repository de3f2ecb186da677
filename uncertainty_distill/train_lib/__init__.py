"""From a configuration to a trained run folder."""

from uncertainty_distill.train_lib.clusters import read_cluster
from uncertainty_distill.train_lib.distillation import (
  member_config,
  member_paths,
  teacher_runs,
  train_teacher,
  trained_teacher,
)
from uncertainty_distill.train_lib.runner import resolve, train
from uncertainty_distill.train_lib.stored_teacher import open_predictions
from uncertainty_distill.train_lib.strategies import describe, make_strategy
from uncertainty_distill.train_lib.summaries import (
  tag,
  write_confidence,
  write_scalar,
)
