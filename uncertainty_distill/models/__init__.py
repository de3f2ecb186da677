"""Networks: plain ones, BatchEnsembles and deep ensembles."""

from uncertainty_distill.models.ensembles import (
  BatchEnsemble,
  DeepEnsemble,
  build_model,
)
from uncertainty_distill.models.flops import forward_flops
from uncertainty_distill.models.mixed_precision import cast_weights
from uncertainty_distill.models.variables import (
  fast_weights,
  kernel_layers,
  regularized_blocks,
)
