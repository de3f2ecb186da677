"""Wide ResNets: single networks, BatchEnsembles and deep ensembles."""

from uncertainty_distill.modeling.arithmetic import forward_flops
from uncertainty_distill.modeling.casting import cast_weights
from uncertainty_distill.modeling.ensembles import (
  BatchEnsemble,
  DeepEnsemble,
  build_model,
)
from uncertainty_distill.modeling.layers import (
  Conv2DBatchEnsemble,
  DenseBatchEnsemble,
)
from uncertainty_distill.modeling.members import (
  join_members,
  split_members,
  tile_members,
)
from uncertainty_distill.modeling.perturbation import SIDES, member_kernels
from uncertainty_distill.modeling.variables import (
  fast_weights,
  kernel_layers,
  regularized_blocks,
)
