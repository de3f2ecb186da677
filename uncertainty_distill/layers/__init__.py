"""BatchEnsemble layers, and the axis of their members."""

from uncertainty_distill.layers.batch_ensemble import (
  Conv2DBatchEnsemble,
  DenseBatchEnsemble,
)
from uncertainty_distill.layers.members import (
  join_members,
  split_members,
  tile_members,
)
from uncertainty_distill.layers.perturbation import SIDES, member_kernels
