"""Networks: plain ones, BatchEnsembles and deep ensembles."""

from uncertainty_distill.models.architecture import Architecture
from uncertainty_distill.models.architecture_choice import ArchitectureChoice
from uncertainty_distill.models.ensembles import (
  BatchEnsemble,
  DeepEnsemble,
  batch_ensemble,
  check_rank,
  without_initial_values,
)
from uncertainty_distill.models.mixed_precision import cast_weights
from uncertainty_distill.models.settings import Settings, plain_value
from uncertainty_distill.models.variables import (
  fast_weights,
  forward_flops,
  kernel_layers,
)
from uncertainty_distill.models.wide_resnet import WideResNet
