"""Wide ResNets: single networks, BatchEnsembles and deep ensembles."""

from uncertainty_distill.modeling.arithmetic import forward_flops
from uncertainty_distill.modeling.casting import cast_weights
from uncertainty_distill.modeling.ensembles import BatchEnsemble
from uncertainty_distill.modeling.ensembles import build_model
from uncertainty_distill.modeling.ensembles import DeepEnsemble
from uncertainty_distill.modeling.layers import Conv2DBatchEnsemble
from uncertainty_distill.modeling.layers import DenseBatchEnsemble
from uncertainty_distill.modeling.members import join_members
from uncertainty_distill.modeling.members import split_members
from uncertainty_distill.modeling.members import tile_members
from uncertainty_distill.modeling.perturbation import member_kernels
from uncertainty_distill.modeling.perturbation import SIDES
from uncertainty_distill.modeling.variables import fast_weights
from uncertainty_distill.modeling.variables import kernel_layers
from uncertainty_distill.modeling.variables import regularized_blocks
