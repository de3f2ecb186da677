"""BatchEnsemble layers, and the axis of their members."""

from uncertainty_distill.layers.batch_ensemble import (
  PERTURB_MODES,
  BatchEnsembleLayer,
  Conv2DBatchEnsemble,
  DenseBatchEnsemble,
  member_kernels,
  weights_may_be_cheaper,
)
from uncertainty_distill.layers.fast_weight_initializers import (
  FAST_WEIGHTS,
  fast_weight_initializers,
)
from uncertainty_distill.layers.members import (
  SplitHeads,
  SplitMembers,
  TileMembers,
  join_members,
  member_rows,
  only,
  own_examples,
  split_members,
  tile_members,
)
from uncertainty_distill.layers.more_batch_ensemble import (
  Conv1DBatchEnsemble,
  DepthwiseConv2DBatchEnsemble,
  PerMember,
  SeparableConv2DBatchEnsemble,
  config_of,
  left_out_config,
)
