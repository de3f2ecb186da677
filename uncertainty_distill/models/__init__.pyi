"""The public names of this package, for type checkers and `__init__.py`."""

from .architecture import Architecture as Architecture
from .architecture_choice import ArchitectureChoice as ArchitectureChoice
from .cloning import without_initial_values as without_initial_values
from .conversion import NORMS as NORMS
from .conversion import batch_ensemble as batch_ensemble
from .conversion import check_rank as check_rank
from .conversion import set_plain_weights as set_plain_weights
from .custom_networks import KerasModel as KerasModel
from .custom_networks import check_plain as check_plain
from .ensembles import BatchEnsemble as BatchEnsemble
from .flops import forward_flops as forward_flops
from .heads import hydra as hydra
from .mixed_precision import cast_weights as cast_weights
from .network_kernels import Kernel as Kernel
from .network_kernels import kernels as kernels
from .network_kernels import kernels_of_layer as kernels_of_layer
from .plain_members import member as member
from .plain_members import merge_members as merge_members
from .settings import Settings as Settings
from .settings import plain_value as plain_value
from .stacked_models import DeepEnsemble as DeepEnsemble
from .variables import check_precision as check_precision
from .variables import fast_weights as fast_weights
from .variables import finalize as finalize
from .variables import flat_layers as flat_layers
from .wide_resnet import WideResNet as WideResNet
