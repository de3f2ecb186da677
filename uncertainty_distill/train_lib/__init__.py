"""From a configuration to a trained run folder."""

from uncertainty_distill.train_lib.clusters import read_cluster
from uncertainty_distill.train_lib.distillation import member_config
from uncertainty_distill.train_lib.distillation import member_paths
from uncertainty_distill.train_lib.distillation import teacher_runs
from uncertainty_distill.train_lib.distillation import train_teacher
from uncertainty_distill.train_lib.distillation import trained_teacher
from uncertainty_distill.train_lib.runner import resolve
from uncertainty_distill.train_lib.runner import train
from uncertainty_distill.train_lib.stored_teacher import open_predictions
from uncertainty_distill.train_lib.strategies import describe
from uncertainty_distill.train_lib.strategies import make_strategy
from uncertainty_distill.train_lib.summaries import tag
from uncertainty_distill.train_lib.summaries import write_confidence
from uncertainty_distill.train_lib.summaries import write_scalar
