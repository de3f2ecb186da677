"""Objectives for training an ensemble: pure functions of logits and labels."""

from uncertainty_distill.losses.objectives import head_distillation
from uncertainty_distill.losses.objectives import knowledge_distillation
from uncertainty_distill.losses.objectives import member_cross_entropy

__all__ = [
    'head_distillation',
    'knowledge_distillation',
    'member_cross_entropy',
]
