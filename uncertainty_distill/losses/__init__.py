"""Objectives for training an ensemble: functions of logits and of weights."""

from uncertainty_distill.losses.diversified_views import (
  LEVEL_PARTS,
  diversified_views,
  no_gradient,
)
from uncertainty_distill.losses.fast_weight_decay import distance_to_ones
from uncertainty_distill.losses.keras_losses import MemberCrossEntropy
from uncertainty_distill.losses.objectives import (
  calibrated_teacher,
  head_distillation,
  knowledge_distillation,
  member_cross_entropy,
)
from uncertainty_distill.losses.weight_tie import TiedLayer, weight_tie
